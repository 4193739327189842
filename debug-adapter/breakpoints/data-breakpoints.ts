import type { DebugProtocol } from "@vscode/debugprotocol";
import type { Address, VirtualMachine, Watchpoint } from "../../emulator/machine/virtual-machine.ts";
import { formatAddress, parseMemoryReference, splitSpace } from "../addresses.ts";
import type { RequestArguments } from "../request-arguments.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import { dataModes } from "./breakpoint-modes.ts";
import { Trigger } from "./trigger.ts";

const accessTypes = ["read", "write", "readWrite"] as const;
const LONGEST_RANGE = 1 << 30;
/** The id of a motion's own watchpoint; the person's begin above it. */
const OWN_ID = 999_999;

/** Bytes of an address space. */
export interface MemoryRange {
	readonly address: Address;
	readonly length: number;
	/** Only accesses of a processor or only those of devices; both when left out. */
	readonly by?: "cpu" | "dma";
}

/** What the rest of the session knows of names. */
export interface DataNames {
	/** The memory of a child of a variable. @throws {RequestError} with the reason why it cannot be watched. */
	rangeOfVariable(variablesReference: number, name: string): MemoryRange;
	/** The memory that an expression denotes. @throws {RequestError} with the reason why there is none. */
	rangeOfExpression(expression: string, frameId: number | undefined): MemoryRange;
	/** The same memory by guest-physical address; a sentence when that is not possible. */
	physical(range: MemoryRange): MemoryRange | string;
	/** An expression for an address. @throws {RequestError} */
	address(expression: string, frameId: number | undefined): Address;
}

interface DataBreakpoint extends MemoryRange {
	readonly id: number;
	readonly access: (typeof accessTypes)[number];
	readonly trigger: Trigger;
}

function dataId({ address, length, by }: MemoryRange): string {
	const space = address.space === "lin" ? "lin:" : "";
	const owner = address.processor === undefined ? "" : `@${address.processor}`;
	return `${space}${formatAddress(address)}/${length}${by ? `/${by}` : ""}${owner}`;
}

function parseDataId(text: string): MemoryRange {
	const match = /^(.*?)\/(\d{1,10})(?:\/(cpu|dma))?(?:@(\d{1,5}))?$/.exec(text);
	const length = Number(match?.[2] ?? 0);
	if (!match || length < 1 || length > LONGEST_RANGE)
		throw new RequestError(
			`"${text}" is not a data id: it has the form address/length, such as 0xc0100000/4 or gpa:0x1000/16, with /cpu or /dma behind it for accesses of one kind, and @thread for the domain of a thread.`,
		);
	const by = match[3] as MemoryRange["by"];
	const owner = match[4] === undefined ? {} : { processor: Number(match[4]) };
	return { address: { ...parseMemoryReference(match[1]!), ...owner }, length, ...(by ? { by } : {}) };
}

/** Takes the words "cpu" or "dma" off an address that a person wrote: "dma gpa:0x1000". */
function splitAccessor(text: string): { by?: "cpu" | "dma"; rest: string } {
	const match = /^\s*(cpu|dma)\s+([\s\S]+)$/.exec(text);
	return match ? { by: match[1] as "cpu" | "dma", rest: match[2]! } : { rest: text };
}

/** Data breakpoints: ranges of any address space, by their own DAP ids. */
export class DataBreakpoints {
	private breakpoints: DataBreakpoint[] = [];
	/** Apart from the ids of other breakpoints. */
	private nextId = 1_000_000;
	/** Watched by a motion of its own, beside the person's. */
	private own: MemoryRange | undefined;

	constructor(
		private readonly machine: () => VirtualMachine | undefined,
		private readonly names: DataNames,
	) {}

	find(id: number): { id: number; trigger: Trigger } | undefined {
		return this.breakpoints.find((breakpoint) => breakpoint.id === id);
	}

	resetHits(): void {
		for (const breakpoint of this.breakpoints) breakpoint.trigger.reset();
	}

	/** Tells the machine. Does nothing before there is one. */
	install(): void {
		const own: Watchpoint[] = this.own ? [{ ...this.own, id: OWN_ID, access: "write" }] : [];
		this.machine()?.setWatchpoints([
			...this.breakpoints.map(
				({ id, address, length, access, by }): Watchpoint => ({ id, address, length, access, ...(by ? { by } : {}) }),
			),
			...own,
		]);
	}

	/** Watches the writes of one range more, or of none; gives the id that a stop tells. */
	watchFor(range: MemoryRange | undefined): number {
		this.own = range;
		this.install();
		return OWN_ID;
	}

	/** The memory that a person's text names: a variable's, or `bytes` bytes at an address. @throws {RequestError} */
	rangeOf(text: string, bytes: number | undefined, frameId: number | undefined): MemoryRange {
		const { by, rest } = splitAccessor(text);
		const isAddress = /^\s*(0x[0-9a-f]+|\d+)\s*$/i.test(rest) || splitSpace(rest).explicit;
		const range = isAddress
			? { address: this.names.address(rest, frameId), length: bytes ?? 4 }
			: this.names.rangeOfExpression(rest, frameId);
		return { ...range, ...(bytes === undefined ? {} : { length: bytes }), ...(by ? { by } : {}) };
	}

	private byMode(range: MemoryRange, mode: (typeof dataModes)[number] | undefined): MemoryRange {
		if (mode !== "physical" && mode !== "dma") return range;
		const physical = this.names.physical(range);
		if (typeof physical === "string") throw new RequestError(physical);
		return mode === "dma" ? { ...physical, by: "dma" } : physical;
	}

	private info(args: RequestArguments): DebugProtocol.DataBreakpointInfoResponse["body"] {
		const name = args.string("name");
		const frameId = args.optionalInteger("frameId");
		const bytes = args.optionalInteger("bytes", 1, LONGEST_RANGE);
		const reference = args.optionalInteger("variablesReference");
		const isAddress = args.optionalBoolean("asAddress") ?? false;
		try {
			const { by, rest } = splitAccessor(name);
			const found: MemoryRange = isAddress
				? { address: this.names.address(rest, frameId), length: bytes ?? 1, ...(by ? { by } : {}) }
				: reference
					? this.names.rangeOfVariable(reference, name)
					: this.names.rangeOfExpression(name, frameId);
			const range: MemoryRange = { ...found, length: bytes ?? found.length };
			const size = range.length === 1 ? "1 byte" : `${range.length} bytes`;
			const only = range.by ? `, by ${range.by === "dma" ? "DMA" : "a processor"}` : "";
			const where = `${size} at ${formatAddress(range.address)}${only}`;
			return {
				dataId: dataId(range),
				description: isAddress ? where : `${name} (${where})`,
				accessTypes: [...accessTypes],
				// A variable's address holds for its frame only; a number that the person wrote holds always.
				canPersist: isAddress,
			};
		} catch (error) {
			if (!(error instanceof RequestError)) throw error;
			return { dataId: null, description: error.message };
		}
	}

	readonly requests: RequestHandlers = {
		dataBreakpointInfo: (args) => this.info(args),

		setDataBreakpoints: (args) => {
			const before = this.breakpoints;
			const answers: DebugProtocol.Breakpoint[] = [];
			const next: DataBreakpoint[] = [];
			for (const one of args.objects("breakpoints")) {
				const text = one.string("dataId");
				const access = one.optionalWord("accessType", accessTypes) ?? "write";
				const mode = one.optionalWord("mode", dataModes);
				try {
					const trigger = Trigger.of(one);
					const range = this.byMode(parseDataId(text), mode);
					const old = before.find(
						(breakpoint) =>
							dataId(breakpoint) === dataId(range) &&
							breakpoint.access === access &&
							breakpoint.trigger.equals(trigger),
					);
					const breakpoint = { id: old?.id ?? this.nextId++, ...range, access, trigger: old?.trigger ?? trigger };
					next.push(breakpoint);
					answers.push({ id: breakpoint.id, verified: true });
				} catch (error) {
					if (!(error instanceof RequestError)) throw error;
					answers.push({ verified: false, message: error.message, reason: "failed" });
				}
			}
			this.breakpoints = next;
			this.install();
			return { breakpoints: answers };
		},
	};
}
