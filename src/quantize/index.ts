export { type Calibrated, type CalibrateOptions, calibrate, type Fidelity, LEAST_SHARE } from './calibrate.js';
export { type Calibration, calibrationFields, digestSteps, int8Program, parseCalibration } from './calibration.js';
export { cosines, type Int8Report, type Speed, speeds, vectorsOf } from './fidelity.js';
export type { Batch } from './observe.js';
export { stepsOf } from './steps.js';
