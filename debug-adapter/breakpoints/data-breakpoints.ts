import type { DebugProtocol } from "@vscode/debugprotocol";
import type { Address, VirtualMachine, Watchpoint } from "../../emulator/machine/virtual-machine.ts";
import { formatAddress, parseMemoryReference } from "../addresses.ts";
import type { RequestArguments } from "../request-arguments.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import { Trigger } from "./trigger.ts";

const accessTypes = ["read", "write", "readWrite"] as const;
const LONGEST_RANGE = 1 << 30;

/** Bytes of an address space. */
export interface MemoryRange {
	readonly address: Address;
	readonly length: number;
}

/** What the rest of the session knows of names. */
export interface DataNames {
	/** The memory of a child of a variable. @throws {RequestError} with the reason why it cannot be watched. */
	rangeOfVariable(variablesReference: number, name: string): MemoryRange;
	/** The memory that an expression denotes. @throws {RequestError} with the reason why there is none. */
	rangeOfExpression(expression: string, frameId: number | undefined): MemoryRange;
	/** An expression for an address. @throws {RequestError} */
	address(expression: string, frameId: number | undefined): Address;
}

interface DataBreakpoint extends MemoryRange {
	readonly id: number;
	readonly access: (typeof accessTypes)[number];
	readonly trigger: Trigger;
}

function dataId({ address, length }: MemoryRange): string {
	return `${address.space}:0x${address.value.toString(16)}/${length}`;
}

function parseDataId(text: string): MemoryRange {
	const match = /^(.*)\/(\d{1,10})$/.exec(text);
	const length = Number(match?.[2] ?? 0);
	if (!match || length < 1 || length > LONGEST_RANGE)
		throw new RequestError(
			`"${text}" is not a data id: it has the form address/length, such as 0xc0100000/4 or gpa:0x1000/16.`,
		);
	return { address: parseMemoryReference(match[1]!), length };
}

/** Data breakpoints: ranges of any address space, by their own DAP ids. */
export class DataBreakpoints {
	private breakpoints: DataBreakpoint[] = [];
	/** Apart from the ids of other breakpoints. */
	private nextId = 1_000_000;

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
		this.machine()?.setWatchpoints(
			this.breakpoints.map(({ id, address, length, access }): Watchpoint => ({ id, address, length, access })),
		);
	}

	private info(args: RequestArguments): DebugProtocol.DataBreakpointInfoResponse["body"] {
		const name = args.string("name");
		const frameId = args.optionalInteger("frameId");
		const bytes = args.optionalInteger("bytes", 1, LONGEST_RANGE);
		const reference = args.optionalInteger("variablesReference");
		const isAddress = args.optionalBoolean("asAddress") ?? false;
		try {
			const found = isAddress
				? { address: this.names.address(name, frameId), length: bytes ?? 1 }
				: reference
					? this.names.rangeOfVariable(reference, name)
					: this.names.rangeOfExpression(name, frameId);
			const range = { address: found.address, length: bytes ?? found.length };
			const size = range.length === 1 ? "1 byte" : `${range.length} bytes`;
			const where = `${size} at ${formatAddress(range.address)}`;
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
				const trigger = Trigger.of(one);
				try {
					const range = parseDataId(text);
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
