import type { Application } from './application.js';
import { convnexts } from './convnext.js';
import { densenets } from './densenet.js';
import { efficientnets } from './efficientnet.js';
import { efficientnetV2s } from './efficientnet-v2.js';
import { inceptionResnetV2, inceptionV3 } from './inception.js';
import { mobilenet } from './mobilenet.js';
import { mobilenetV2 } from './mobilenet-v2.js';
import { mobilenetV3s } from './mobilenet-v3.js';
import { nasnets } from './nasnet.js';
import { resnets } from './resnet.js';
import { vggs } from './vgg.js';
import { xception } from './xception.js';

export type { Application, ApplicationOptions, PublishedWeights } from './application.js';

/** The architectures that are known by name, in the order in which Keras documents them. */
const ALL: readonly Application[] = [
  xception,
  ...vggs,
  ...resnets,
  inceptionV3,
  inceptionResnetV2,
  mobilenet,
  mobilenetV2,
  ...mobilenetV3s,
  ...densenets,
  ...nasnets,
  ...efficientnets,
  ...efficientnetV2s,
  ...convnexts,
];

/** By name. */
export const applications: ReadonlyMap<string, Application> = new Map(ALL.map((each) => [each.name, each]));
