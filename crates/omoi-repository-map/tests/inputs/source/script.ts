export class A<T> extends B implements C {
  private x?: number = 1;
  get y() { return `a${this.x}b`; }
}
exports.run = async function* () { yield /re/g; };
const el = <div a={1}>text</div>;
