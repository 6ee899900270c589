const test = require("node:test");
const assert = require("node:assert");
const { first } = require("./index.js");

test("the first word is a greeting", () => assert.equal(first(), "hello"));
