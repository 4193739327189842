import type { DebugProtocol } from "@vscode/debugprotocol";
import type { Stop } from "../../emulator/machine/virtual-machine.ts";
import { formatAddress, hex } from "../addresses.ts";

/** What the client is told of a stop. */
export type StopReport = DebugProtocol.StoppedEvent["body"];

/** How the address of an instruction reads: "0x100012 (main+0x12)". */
export type DescribeCode = (linear: bigint) => string;

/** The guest-physical address of a linear one on a processor; undefined where it is not mapped. */
export type PhysicalAddress = (processor: number, linear: bigint) => bigint | undefined;

/** The report of a stop that is none of a breakpoint's kinds. */
export function reportStop(stop: Stop, describe: DescribeCode, physical: PhysicalAddress): StopReport {
	const threadId = "processor" in stop ? stop.processor : 1;
	const common = { threadId, allThreadsStopped: true };
	switch (stop.reason) {
		case "breakpoint":
			return { ...common, reason: "breakpoint", description: "Paused on breakpoint" };
		case "watchpoint":
			return {
				...common,
				reason: "data breakpoint",
				description: "Paused on data breakpoint",
				text: watchText(stop, describe, physical),
			};
		case "event":
			return { ...common, reason: "exception", description: stop.description, text: stop.description };
		case "step":
			return { ...common, reason: "step", description: "Paused on step" };
		case "pause":
			return { ...common, reason: "pause", description: "Paused" };
		case "triple-fault":
			return { ...common, reason: "exception", description: "Triple fault", text: stop.description };
		case "halted":
			return { ...common, reason: "pause", description: "Halted", text: stop.description };
		case "poweroff":
			return { ...common, reason: "pause", description: "Powered off" };
		case "debug-exit":
			return { ...common, reason: "pause", description: `Debug exit with ${stop.value}` };
	}
}

/** "write of 4 bytes at 0xc0001000 (gpa:0x1000) by 0x100012 (main+0x12): 0x1 → 0x2"; a device's: "… by DMA of ATA disk: …" */
function watchText(
	stop: Extract<Stop, { reason: "watchpoint" }>,
	describe: DescribeCode,
	physical: PhysicalAddress,
): string {
	const value = (number: bigint | undefined) => (number === undefined ? "unknown" : hex(number));
	const change =
		stop.access === "write"
			? `${value(stop.oldValue)} → ${value(stop.newValue)}`
			: `value ${value(stop.newValue ?? stop.oldValue)}`;
	const bytes = stop.length === 1 ? "1 byte" : `${stop.length} bytes`;
	const writer = stop.device === undefined ? describe(stop.instruction) : `DMA of ${stop.device}`;
	const behind = stop.address.space === "lin" ? physical(stop.processor, stop.address.value) : undefined;
	const where = `${formatAddress(stop.address)}${behind === undefined ? "" : ` (gpa:${hex(behind)})`}`;
	return `${stop.access} of ${bytes} at ${where} by ${writer}: ${change}`;
}

/** The exit code of a guest that has ended, as the command line has it (DESIGN section 6); undefined while it has not. */
export function exitCodeOf(stop: Stop): number | undefined {
	if (stop.reason === "poweroff") return 0;
	if (stop.reason === "debug-exit") return ((stop.value << 1) | 1) & 0xff;
	return undefined;
}

/** Why the run is over, for the person who watches it. */
export function endText(stop: Stop, instructions: number): string {
	const after = `after ${instructions.toLocaleString("en-US")} instructions`;
	if (stop.reason !== "debug-exit") return `The guest switched the machine off ${after}.`;
	return `The guest ended the run ${after}: it wrote ${stop.value} to the debug-exit port, so the exit status is ${exitCodeOf(stop)}.`;
}
