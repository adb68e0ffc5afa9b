import './telemetry.js'; // before onnxruntime is loaded
import ort from 'onnxruntime-node';

ort.env.logLevel = 'fatal'; // what fails is thrown, and told once

/** onnxruntime: the only way to it, so that it sends nothing and logs nothing. */
export default ort;
