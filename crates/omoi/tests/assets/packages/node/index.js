// The first word that is said.
const { first } = require("greeter");

exports.first = () => first;
