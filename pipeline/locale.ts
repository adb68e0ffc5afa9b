/** What is drawn, and its like in ASCII, as wide. */
const LIKE: Readonly<Record<string, string>> = {
  ...{ '▁': '_', '▂': '.', '▃': ':', '▄': '-', '▅': '=', '▆': '+', '▇': '*', '█': '#', '░': '.' },
  ...{ '─': '-', '━': '=', '│': '|', '┃': '|', '├': '+', '┤': '+', '┼': '+', '└': '+', '┴': '+', '┘': '+' },
  ...{ '┏': '+', '┳': '+', '┓': '+', '┡': '+', '╇': '+', '┩': '+', '…': '~', '–': '-', '²': '2' },
};
const DRAWN = new RegExp(`[${Object.keys(LIKE).join('')}]`, 'g');

/**
 * The locale that POSIX takes: LC_ALL, else LC_CTYPE, else LANG. Where none is set, as in most containers, terminals show UTF-8.
 * @returns whether a terminal shows UTF-8
 */
function showsUtf8({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): boolean {
  const locale = LC_ALL || LC_CTYPE || LANG || '';
  return locale === '' || /utf-?8/i.test(locale);
}

/** @returns a text for people, what is drawn in it in ASCII where the locale names another encoding than UTF-8; other letters stay */
export const drawable = (text: string, environment: NodeJS.ProcessEnv = process.env): string =>
  showsUtf8(environment) ? text : text.replace(DRAWN, (one) => LIKE[one] as string);
