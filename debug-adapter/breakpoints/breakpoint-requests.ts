import type { DebugProtocol } from "@vscode/debugprotocol";
import { ownedBy, parseMemoryReference, parseNumber, splitSpace } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import type { Evaluator } from "../program/evaluator.ts";
import type { Program } from "../program/program.ts";
import type { RequestArguments } from "../request-arguments.ts";
import { sentenceOf } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import type { FrameStore } from "../stack/frame-store.ts";
import { describeBreakpoint, type Placement } from "./breakpoint.ts";
import { codeModes, physicalPlacement } from "./breakpoint-modes.ts";
import type { BreakpointStore } from "./breakpoint-store.ts";
import { Trigger } from "./trigger.ts";

/** A source line farther down than this is another place, not the next line with code. */
const FARTHEST_LINE = 50;
const MOST_LINES = 10_000;

/** Either a Trigger, or the sentence with which one breakpoint of a list is refused. */
function triggerOf(args: RequestArguments): { trigger: Trigger; problem?: string } {
	const condition = args.optionalString("condition");
	const hitCondition = args.optionalString("hitCondition");
	const logMessage = args.optionalString("logMessage");
	try {
		return { trigger: new Trigger(condition, hitCondition, logMessage) };
	} catch (error) {
		return { trigger: new Trigger(condition, undefined, logMessage), problem: sentenceOf(error) };
	}
}

const nowhere = (message: string): Placement => ({ addresses: [], message });

export class BreakpointRequests {
	constructor(
		private readonly debuggee: Debuggee,
		private readonly store: BreakpointStore,
		private readonly program: Program,
		private readonly evaluator: Evaluator,
		private readonly frames: FrameStore,
	) {}

	/** Tells the client of breakpoints that symbols, added later, have moved. */
	placeAgain(): void {
		for (const breakpoint of this.store.placeAgain())
			this.debuggee.emit("breakpoint", { reason: "changed", breakpoint });
	}

	/** After a stop: what was not mapped before may be now. */
	placeProvisional(): void {
		if (this.store.isProvisional) this.placeAgain();
	}

	/** The place by the address that the breakpoint's mode names. */
	private byMode<Scope extends unknown[]>(args: RequestArguments, place: (...scope: Scope) => Placement) {
		return args.optionalWord("mode", codeModes) === "physical" ? physicalPlacement(place, this.debuggee) : place;
	}

	private placeOnLine(path: string, line: number): Placement {
		if (!this.debuggee.hasMachine) return nowhere("The machine is not there yet.");
		if (this.program.table.files.length === 0)
			return nowhere('No symbols are loaded: name files with debug information in "symbolFiles".');
		const found = this.program.ask((table) => table.locationsOfLine(path, line), []);
		const near = found.filter((one) => (one.position?.line ?? line) - line <= FARTHEST_LINE);
		if (near.length === 0) return nowhere("No code in the loaded symbols comes from this line.");
		return {
			addresses: near.map((one) => this.program.addressOf(one)),
			line: near[0]!.position?.line ?? line,
		};
	}

	private placeOnFunction(name: string, owner: number | undefined): Placement {
		if (!this.debuggee.hasMachine) return nowhere("The machine is not there yet.");
		try {
			const { space, rest, explicit } = splitSpace(name.replace(/^\*/, ""));
			const number = parseNumber(rest);
			if (number !== undefined && number >= 0n) return { addresses: [ownedBy(owner, { space, value: number })] };
			if (name.startsWith("*") || explicit) {
				const text = name.replace(/^\*/, "");
				const frame = this.frames.top(this.debuggee.focusedProcessor());
				return { addresses: [ownedBy(owner, this.evaluator.address(text, frame))] };
			}
		} catch (error) {
			return nowhere(sentenceOf(error));
		}
		const found = this.program.ask((table) => table.locationsOfFunction(name), []);
		if (found.length === 0)
			return nowhere(
				`No loaded symbol file has a function "${name}"; an address is written *0xc0100000 or gpa:0x1000.`,
			);
		return { addresses: found.map((one) => this.program.addressOf(one)) };
	}

	readonly requests: RequestHandlers = {
		setBreakpoints: (args) => {
			const sourceArguments = args.object("source");
			const path = sourceArguments.string("path");
			const name = sourceArguments.optionalString("name");
			const source: DebugProtocol.Source = { ...(name === undefined ? {} : { name }), path };
			const wanted = args.objects("breakpoints").map((one) => {
				const line = one.integer("line", 1);
				const { trigger, problem } = triggerOf(one);
				const place = () => (problem === undefined ? this.placeOnLine(path, line) : nowhere(problem));
				return { key: `${path}\n${line}`, trigger, source, place: this.byMode(one, place) };
			});
			const breakpoints = this.store.replace("source", `${path}\n`, wanted);
			return { breakpoints: breakpoints.map(describeBreakpoint) };
		},

		setFunctionBreakpoints: (args) => {
			const wanted = args.objects("breakpoints").map((one) => {
				const name = one.string("name").trim();
				const { trigger, problem } = triggerOf(one);
				const place = (owner: number | undefined) =>
					problem === undefined ? this.placeOnFunction(name, owner) : nowhere(problem);
				return { key: name, trigger, place, owner: this.debuggee.focusedDomain };
			});
			return { breakpoints: this.store.replace("function", "", wanted).map(describeBreakpoint) };
		},

		setInstructionBreakpoints: (args) => {
			const wanted = args.objects("breakpoints").map((one) => {
				const reference = one.string("instructionReference");
				const offset = one.optionalInteger("offset") ?? 0;
				const { trigger, problem } = triggerOf(one);
				const place = (owner: number | undefined): Placement => {
					if (problem !== undefined) return nowhere(problem);
					try {
						const address = parseMemoryReference(reference);
						const value = address.value + BigInt(offset);
						if (value < 0n) return nowhere("There is no code below address 0.");
						return { addresses: [ownedBy(owner, { ...address, value })] };
					} catch (error) {
						return nowhere(sentenceOf(error));
					}
				};
				return {
					key: `${reference}+${offset}`,
					trigger,
					place: this.byMode(one, place),
					owner: this.debuggee.focusedDomain,
				};
			});
			return { breakpoints: this.store.replace("instruction", "", wanted).map(describeBreakpoint) };
		},

		breakpointLocations: (args) => {
			const path = args.object("source").string("path");
			const from = args.integer("line", 1);
			const to = args.optionalInteger("endLine", from) ?? from;
			const lines = this.program.ask((table) => table.linesWithCode(path, from, Math.min(to, from + MOST_LINES)), []);
			return { breakpoints: lines.map((line) => ({ line })) };
		},
	};
}
