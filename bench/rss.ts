/** Loaded before a program (`node --import`): writes its peak resident memory in bytes to $PERMAFROST_RSS when it ends. */
import { writeFileSync } from 'node:fs';

process.on('exit', () => {
  const file = process.env.PERMAFROST_RSS;
  if (file !== undefined) writeFileSync(file, String(process.resourceUsage().maxRSS * 1024));
});
