// The first word that is said.
const greeting = require("greeter");

exports.first = () => greeting;
