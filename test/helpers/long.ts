/** Whether everything is tried (`npm run test:long`), where `npm test` tries a sample. */
export const long = process.env.PERMAFROST_LONG === '1';
