import type { Application } from './application.js';
import { mobilenet } from './mobilenet.js';
import { xception } from './xception.js';

export type { Application, ApplicationOptions, PublishedWeights } from './application.js';

/** The architectures that are known by name. */
export const applications: ReadonlyMap<string, Application> = new Map(
  [mobilenet, xception].map((application) => [application.name, application]),
);
