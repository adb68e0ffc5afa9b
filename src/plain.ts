/** @returns a text that moves no cursor: names of files may hold anything, also what a terminal obeys */
export const plain = (text: string): string =>
  text.replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
