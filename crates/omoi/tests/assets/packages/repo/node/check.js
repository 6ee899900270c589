const assert = require("node:assert");
assert.equal(require("greeter"), "hello");
