/** Markup that is safe to be put into a page as it is. */
export class Html {
  constructor(readonly text: string) {}
}

/** What can stand in a template: text is escaped, lists are joined, null and false are nothing. */
export type Content = Html | string | number | null | false | readonly Content[];

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
/** Control characters may not stand in a page. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is meant
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;

/** @returns text as it stands in an element or between the quotes of an attribute */
export const escaped = (text: string): string =>
  text.replace(CONTROLS, '\ufffd').replace(/[&<>"']/g, (letter) => ESCAPES[letter] as string);

function textOf(content: Content): string {
  if (content instanceof Html) return content.text;
  if (content === null || content === false) return '';
  if (Array.isArray(content)) return content.map(textOf).join('');
  return escaped(String(content));
}

/** A template of markup, in which what is put in is escaped. */
export const html = (strings: TemplateStringsArray, ...values: readonly Content[]): Html =>
  new Html(strings.reduce((text, part, i) => text + textOf(values[i - 1] as Content) + part));

/** Data for the script of a page: JSON that cannot end the element which holds it. */
export const json = (value: unknown): Html =>
  new Html(
    JSON.stringify(value).replace(
      /[<>&\u2028\u2029]/g,
      (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  );
