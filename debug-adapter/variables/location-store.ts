import type { DebugProtocol } from "@vscode/debugprotocol";
import type { Program } from "../program/program.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import type { SourcePosition } from "../symbols/index.ts";

/** Places in source texts that variables refer to: where one is declared, what code a pointer leads to. */
export class LocationStore {
	private readonly positions: SourcePosition[] = [];
	/** References are never used twice. */
	private first = 1;

	constructor(private readonly program: Program) {}

	/** A reference to the place; undefined for none. */
	add(position: SourcePosition | undefined): number | undefined {
		if (!position || position.line === 0 || position.file === "") return undefined;
		this.positions.push(position);
		return this.first + this.positions.length - 1;
	}

	/** A reference to the source of the code at a linear address; undefined where there is no code with lines. */
	addCode(address: bigint): number | undefined {
		return this.add(this.program.rangeAt(this.program.guestAddress(address)));
	}

	forget(): void {
		this.first += this.positions.length;
		this.positions.length = 0;
	}

	readonly requests: RequestHandlers = {
		locations: (args): DebugProtocol.LocationsResponse["body"] => {
			const reference = args.integer("locationReference", 1);
			const position = this.positions[reference - this.first];
			if (!position)
				throw new RequestError(
					`Location reference ${reference} is not known any more: the machine has moved since it was given out.`,
				);
			const { file, line, column } = position;
			return { source: this.program.source(file), line, ...(column > 0 ? { column } : {}) };
		},
	};
}
