/** A row of values that grows and shrinks at both ends in constant time, and answers by index. */
export class Deque<T> {
  /** Values before the middle, the nearest to it first. */
  #front: T[] = [];
  /** Values after the middle; those below `#start` are gone. */
  #back: (T | undefined)[] = [];
  #start = 0;

  get length(): number {
    return this.#front.length + this.#back.length - this.#start;
  }

  at(index: number): T | undefined {
    if (index < 0) return undefined;
    const front = this.#front.length;
    return index < front ? this.#front[front - 1 - index] : this.#back[this.#start + index - front];
  }

  /** Replaces the value at an index that is there. */
  set(index: number, value: T): void {
    const front = this.#front.length;
    if (index < front) this.#front[front - 1 - index] = value;
    else this.#back[this.#start + index - front] = value;
  }

  push(value: T): void {
    this.#back.push(value);
  }

  unshift(value: T): void {
    this.#front.push(value);
  }

  shift(): T | undefined {
    if (this.#front.length > 0) return this.#front.pop();
    if (this.#start >= this.#back.length) return undefined;
    const value = this.#back[this.#start];
    this.#back[this.#start] = undefined;
    this.#start += 1;
    // Half of it is gone: copy the rest, which costs a constant per value.
    if (this.#start > 1_000 && this.#start * 2 > this.#back.length) {
      this.#back = this.#back.slice(this.#start);
      this.#start = 0;
    }
    return value;
  }

  last(): T | undefined {
    return this.at(this.length - 1);
  }

  clear(): void {
    this.#front = [];
    this.#back = [];
    this.#start = 0;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let index = 0; index < this.length; index += 1) yield this.at(index) as T;
  }
}
