import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { needs } from './peers.js';

const program = [
  process.env.PERMAFROST_CHROMIUM ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => path !== '' && existsSync(path));

/** The options of a test that looks at a page. */
export const needsChromium = needs(program !== undefined, 'needs Chromium, or PERMAFROST_CHROMIUM to name it');

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: program as string, args: ['--no-sandbox'] });

/** A page as it was opened from disk. */
export interface Opened {
  readonly page: Page;
  /** What it should not have said or asked for: errors, warnings, requests. */
  readonly complaints: readonly string[];
}

/** @param isOpen whether the page's policy is left aside, for scripts that look at it */
export async function openFile(browser: Browser, file: string, { isOpen = false } = {}): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, bypassCSP: isOpen });
  const page = await context.newPage();
  const complaints: string[] = [];
  const url = pathToFileURL(file).href;
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    if (request.url() !== url && !request.url().startsWith('data:')) complaints.push(`asks for ${request.url()}`);
  });
  await page.goto(url);
  return { page, complaints };
}
