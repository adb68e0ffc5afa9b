'use strict';
// onnxruntime-node's install script downloads its GPU build, and fails where it cannot. It asks this package for a proxy before
// it reads the variable by which it can be told not to. A config of npm's would do too, but each npm command would warn of it.
exports.bootstrap = () => {
  process.env.ONNXRUNTIME_NODE_INSTALL ??= 'skip';
};
