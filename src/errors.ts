/** What every failure of Permafrost that a caller can act on extends. Its message is one sentence: what, where, what to do. */
export class PermafrostError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Wrong use: an unknown name or option, a value out of range. The command line exits with 2. */
export class UsageError extends PermafrostError {
  /** The message as the command line says it, with flags: `--learning-rate` for `learningRate`. */
  readonly typed: string;

  constructor(message: string, options: ErrorOptions & { readonly typed?: string } = {}) {
    super(message, options);
    this.typed = options.typed ?? message;
  }
}

/** A model file that cannot be read or holds something that is not supported. */
export class ModelError extends PermafrostError {}

/** Weights that do not fit the architecture they are meant for. */
export class WeightsError extends PermafrostError {}

/** A download that failed: no network, a cut connection, a wrong hash. */
export class DownloadError extends PermafrostError {}

/** One image that cannot be used. It costs only itself: stage one puts it in the quarantine with this message. */
export class ImageError extends PermafrostError {
  /** Where it failed: `read`, `sniff` (not an image, or a kind that is not supported) or `decode`. */
  readonly stage: 'read' | 'sniff' | 'decode';
  /** Of the file's bytes, 64 hex digits, where they could be read. */
  sha256?: string;

  constructor(stage: ImageError['stage'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.stage = stage;
  }

  /** @returns itself, knowing its content */
  withSha256(sha256: string): this {
    this.sha256 = sha256;
    return this;
  }
}

/** A folder of images, or a label file, that cannot be used as a whole. */
export class DataError extends PermafrostError {}

/** A file that cannot be written where it was asked for. */
export class FileError extends PermafrostError {}

/** A feature set that is damaged, missing, or made with other settings. */
export class CacheError extends PermafrostError {}

/** Labels that cannot be trained on. */
export class LabelError extends PermafrostError {}

/** A saved head that is damaged, or whose base cannot be matched. */
export class HeadError extends PermafrostError {}

/** An engine or device that is absent, or that fails while running. */
export class EngineError extends PermafrostError {}
