import type { BaseEncoding, BaseType, CType, PointerType } from "./c-type.ts";

/** The C types that need no debug information: ILP32 for i386, LP64 for x86-64 (System V ABI). */
export class BuiltinTypes {
	readonly addressSize: 4 | 8;
	readonly #types = new Map<string, BaseType>();

	constructor(addressSize: 4 | 8) {
		this.addressSize = addressSize;
		const long = addressSize;
		const add = (name: string, size: number, encoding: BaseEncoding) => {
			this.#types.set(name, { kind: "base", name, size, encoding });
		};
		add("_Bool", 1, "boolean");
		add("char", 1, "signed-char");
		add("signed char", 1, "signed-char");
		add("unsigned char", 1, "unsigned-char");
		add("short", 2, "signed");
		add("unsigned short", 2, "unsigned");
		add("int", 4, "signed");
		add("unsigned int", 4, "unsigned");
		add("long", long, "signed");
		add("unsigned long", long, "unsigned");
		add("long long", 8, "signed");
		add("unsigned long long", 8, "unsigned");
		add("__int128", 16, "signed");
		add("unsigned __int128", 16, "unsigned");
		add("float", 4, "float");
		add("double", 8, "float");
		add("long double", addressSize === 4 ? 12 : 16, "float");
	}

	/** A type by its usual name ("unsigned long"). */
	get(name: string): BaseType {
		const type = this.#types.get(name);
		if (!type) throw new Error(`no built-in type ${name}`);
		return type;
	}

	/** The type that these specifier words name in any order, or undefined if they name none. */
	bySpecifiers(words: readonly string[]): BaseType | undefined {
		const count = (word: string) => words.filter((other) => other === word).length;
		const longs = count("long");
		const isUnsigned = count("unsigned") === 1;
		const isSigned = count("signed") === 1;
		if (count("unsigned") > 1 || count("signed") > 1 || (isUnsigned && isSigned) || longs > 2) return undefined;
		const rest = words.filter((word) => word !== "long" && word !== "unsigned" && word !== "signed").sort();
		const core = rest.join(" ");
		const prefix = isUnsigned ? "unsigned " : "";
		switch (core) {
			case "_Bool":
			case "float":
				return words.length === 1 ? this.get(core) : undefined;
			case "double":
				return isUnsigned || isSigned || longs > 1 ? undefined : this.get(longs === 1 ? "long double" : "double");
			case "char":
				return longs > 0 ? undefined : this.get(isUnsigned ? "unsigned char" : isSigned ? "signed char" : "char");
			case "short":
			case "int short":
				return longs > 0 ? undefined : this.get(`${prefix}short`);
			case "__int128":
				return longs > 0 ? undefined : this.get(`${prefix}__int128`);
			case "int":
			case "":
				if (words.length === 0) return undefined;
				return this.get(prefix + ["int", "long", "long long"][longs]!);
			default:
				return undefined;
		}
	}

	/** The unsigned type of so many bits, for registers; beyond 64 the unsigned 128-bit type. */
	unsignedOfBits(bits: number): BaseType {
		if (bits <= 8) return this.get("unsigned char");
		if (bits <= 16) return this.get("unsigned short");
		if (bits <= 32) return this.get("unsigned int");
		if (bits <= 64) return this.get(this.addressSize === 8 ? "unsigned long" : "unsigned long long");
		return this.get("unsigned __int128");
	}

	pointerTo(target: CType): PointerType {
		return { kind: "pointer", size: this.addressSize, symbol: "*", target };
	}
}
