import { RequestError } from "./request-error.ts";

/** How a value looks in a sentence of refusal. */
function show(value: unknown): string {
	if (value === undefined) return "missing";
	const text = JSON.stringify(value) ?? String(value);
	return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/**
 * The arguments of one request, checked as they are read: what came over the wire has any shape. Every method throws
 * a RequestError that names the request, the argument, what it has to be and what it was.
 */
export class RequestArguments {
	constructor(
		private readonly command: string,
		private readonly values: Readonly<Record<string, unknown>>,
	) {}

	/** @throws {RequestError} when the arguments are there and not an object. */
	static of(command: string, raw: unknown): RequestArguments {
		if (raw !== undefined && raw !== null && (typeof raw !== "object" || Array.isArray(raw)))
			throw new RequestError(`${command}: the arguments have to be an object, not ${show(raw)}.`);
		return new RequestArguments(command, (raw ?? {}) as Record<string, unknown>);
	}

	private refuse(name: string, wanted: string): never {
		throw new RequestError(`${this.command}: "${name}" has to be ${wanted}; it is ${show(this.values[name])}.`);
	}

	private isAbsent(name: string): boolean {
		return this.values[name] === undefined || this.values[name] === null;
	}

	/** The value as it came. */
	raw(name: string): unknown {
		return this.values[name];
	}

	has(name: string): boolean {
		return !this.isAbsent(name);
	}

	integer(name: string, minimum = Number.MIN_SAFE_INTEGER, maximum = Number.MAX_SAFE_INTEGER): number {
		const value = this.values[name];
		if (typeof value !== "number" || !Number.isSafeInteger(value) || value < minimum || value > maximum) {
			const bounds =
				minimum === Number.MIN_SAFE_INTEGER
					? ""
					: maximum === Number.MAX_SAFE_INTEGER
						? ` of at least ${minimum}`
						: ` from ${minimum} to ${maximum}`;
			this.refuse(name, `a whole number${bounds}`);
		}
		return value;
	}

	optionalInteger(name: string, minimum?: number, maximum?: number): number | undefined {
		return this.isAbsent(name) ? undefined : this.integer(name, minimum, maximum);
	}

	string(name: string): string {
		const value = this.values[name];
		if (typeof value !== "string") this.refuse(name, "a text");
		return value;
	}

	optionalString(name: string): string | undefined {
		return this.isAbsent(name) ? undefined : this.string(name);
	}

	boolean(name: string): boolean {
		const value = this.values[name];
		if (typeof value !== "boolean") this.refuse(name, "true or false");
		return value;
	}

	optionalBoolean(name: string): boolean | undefined {
		return this.isAbsent(name) ? undefined : this.boolean(name);
	}

	/** One of the words. */
	word<Word extends string>(name: string, words: readonly Word[]): Word {
		const value = this.values[name];
		if (!words.includes(value as Word)) this.refuse(name, `one of ${words.join(", ")}`);
		return value as Word;
	}

	optionalWord<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
		return this.isAbsent(name) ? undefined : this.word(name, words);
	}

	object(name: string): RequestArguments {
		const value = this.values[name];
		if (typeof value !== "object" || value === null || Array.isArray(value)) this.refuse(name, "an object");
		return new RequestArguments(`${this.command}: ${name}`, value as Record<string, unknown>);
	}

	optionalObject(name: string): RequestArguments | undefined {
		return this.isAbsent(name) ? undefined : this.object(name);
	}

	/** The elements of a list of objects; none when the list is left out. */
	objects(name: string): RequestArguments[] {
		if (this.isAbsent(name)) return [];
		const value = this.values[name];
		if (!Array.isArray(value)) this.refuse(name, "a list of objects");
		return value.map((element, index) => {
			if (typeof element !== "object" || element === null || Array.isArray(element))
				throw new RequestError(`${this.command}: "${name}[${index}]" has to be an object; it is ${show(element)}.`);
			return new RequestArguments(`${this.command}: ${name}[${index}]`, element as Record<string, unknown>);
		});
	}

	/** The elements of a list of texts and objects; none when the list is left out. */
	stringsOrObjects(name: string): (string | RequestArguments)[] {
		if (this.isAbsent(name)) return [];
		const value = this.values[name];
		if (!Array.isArray(value)) this.refuse(name, "a list of texts and objects");
		return value.map((element: unknown, index) => {
			if (typeof element === "string") return element;
			if (typeof element !== "object" || element === null || Array.isArray(element))
				throw new RequestError(
					`${this.command}: "${name}[${index}]" has to be a text or an object; it is ${show(element)}.`,
				);
			return new RequestArguments(`${this.command}: ${name}[${index}]`, element as Record<string, unknown>);
		});
	}

	/** The elements of a list of texts; none when the list is left out. */
	strings(name: string): string[] {
		if (this.isAbsent(name)) return [];
		const value = this.values[name];
		if (!Array.isArray(value) || value.some((element) => typeof element !== "string"))
			this.refuse(name, "a list of texts");
		return value as string[];
	}

	/** The names and values of an object whose values are texts or numbers; none when it is left out. */
	entries(name: string): [string, string | number][] {
		if (this.isAbsent(name)) return [];
		const value = this.values[name];
		if (typeof value !== "object" || value === null || Array.isArray(value)) this.refuse(name, "an object");
		const entries = Object.entries(value as Record<string, unknown>);
		if (entries.some(([, entry]) => typeof entry !== "string" && typeof entry !== "number"))
			this.refuse(name, "an object whose values are texts or numbers");
		return entries as [string, string | number][];
	}

	/** A number, or a text with a decimal or "0x…" number. */
	quantity(name: string): bigint {
		const value = this.values[name];
		if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
		if (typeof value === "string" && /^-?(0x[0-9a-f]+|\d+)$/i.test(value.trim())) {
			const text = value.trim();
			return text.startsWith("-") ? -BigInt(text.slice(1)) : BigInt(text);
		}
		return this.refuse(name, 'a whole number or a text such as "0x100000"');
	}

	optionalQuantity(name: string): bigint | undefined {
		return this.isAbsent(name) ? undefined : this.quantity(name);
	}
}
