// An output of a machine that is run again and again: what listeners have been given is not given to them twice.

const FIRST_ROOM = 4096;

export class RepeatedOutput {
	/** Bytes since power-on on the machine's present way. */
	produced = 0;
	/** What listeners were given, from power-on. */
	private given = new Uint8Array(FIRST_ROOM);
	private givenLength = 0;
	private readonly listeners: ((bytes: Uint8Array) => void)[] = [];

	listen(listener: (bytes: Uint8Array) => void): void {
		this.listeners.push(listener);
	}

	add(bytes: Uint8Array): void {
		let known = 0;
		while (known < bytes.length && this.produced < this.givenLength) {
			// The run has become another one: from here on all is new.
			if (this.given[this.produced] !== bytes[known]) this.givenLength = this.produced;
			else {
				known++;
				this.produced++;
			}
		}
		if (known === bytes.length) return;
		const fresh = bytes.slice(known);
		this.keep(fresh);
		for (const listener of this.listeners) listener(fresh);
	}

	private keep(fresh: Uint8Array): void {
		const length = this.produced + fresh.length;
		if (length > this.given.length) {
			const larger = new Uint8Array(Math.max(length, this.given.length * 2));
			larger.set(this.given.subarray(0, this.produced));
			this.given = larger;
		}
		this.given.set(fresh, this.produced);
		this.produced = this.givenLength = length;
	}

	clear(): void {
		this.produced = this.givenLength = 0;
	}
}
