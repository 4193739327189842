import {
	Decoder,
	DecoderOptions,
	FlowControl,
	Formatter,
	FormatterSyntax,
	type Instruction,
	Mnemonic,
	OpKind,
} from "iced-x86";

export type CodeSize = 16 | 32 | 64;

/** What the debugger wants to know of one instruction. */
export interface DecodedInstruction {
	/** Bytes; 1 for bytes that are no instruction. */
	readonly length: number;
	readonly valid: boolean;
	/** Where a relative branch or call goes, in the terms of the address that was given. */
	readonly target: bigint | undefined;
	readonly flow: "next" | "jump" | "conditional" | "call" | "interrupt" | "return" | "halt" | "vm-entry";
	/** A string instruction with a REP prefix: every repetition is a step of its own. */
	readonly repeated: boolean;
}

/** The longest instruction in bytes (SDM Vol. 2A §2.3.11). */
export const LONGEST_INSTRUCTION = 15;

const bad: DecodedInstruction = { length: 1, valid: false, target: undefined, flow: "next", repeated: false };

let formatter: Formatter | undefined;

function theFormatter(): Formatter {
	if (!formatter) {
		formatter = new Formatter(FormatterSyntax.Intel);
		formatter.hexPrefix = "0x";
		formatter.hexSuffix = "";
		formatter.uppercaseHex = false;
		formatter.addLeadingZeroToHexNumbers = false;
		formatter.branchLeadingZeros = false;
		formatter.showBranchSize = false;
		formatter.spaceAfterOperandSeparator = true;
	}
	return formatter;
}

function flowOf(instruction: Instruction): DecodedInstruction["flow"] {
	if (instruction.mnemonic === Mnemonic.Hlt) return "halt";
	if (instruction.mnemonic === Mnemonic.Vmlaunch || instruction.mnemonic === Mnemonic.Vmresume) return "vm-entry";
	// It leads to a hypervisor as INT leads to a kernel: there is no function that it calls.
	if (instruction.mnemonic === Mnemonic.Vmcall) return "interrupt";
	// SYSENTER returns where the kernel says, not behind itself (SDM Vol. 2B, SYSENTER).
	if (instruction.mnemonic === Mnemonic.Sysenter) return "jump";
	switch (instruction.flowControl) {
		case FlowControl.UnconditionalBranch:
		case FlowControl.IndirectBranch:
			return "jump";
		case FlowControl.ConditionalBranch:
			return "conditional";
		case FlowControl.Call:
		case FlowControl.IndirectCall:
			return "call";
		case FlowControl.Interrupt:
			return "interrupt";
		case FlowControl.Return:
			return "return";
		default:
			return "next";
	}
}

function targetOf(instruction: Instruction): bigint | undefined {
	switch (instruction.op0Kind) {
		case OpKind.NearBranch16:
		case OpKind.NearBranch32:
		case OpKind.NearBranch64:
			return instruction.nearBranchTarget;
		default:
			return undefined;
	}
}

function withInstruction<Result>(
	bytes: Uint8Array,
	address: bigint,
	codeSize: CodeSize,
	use: (instruction: Instruction) => Result,
): Result {
	const decoder = new Decoder(codeSize, bytes, DecoderOptions.None);
	decoder.ip = BigInt.asUintN(64, address);
	const instruction = decoder.decode();
	try {
		return use(instruction);
	} finally {
		instruction.free();
		decoder.free();
	}
}

/** Decodes the first instruction of the bytes; bytes that end too early are no instruction. */
export function decodeInstruction(bytes: Uint8Array, address: bigint, codeSize: CodeSize): DecodedInstruction {
	if (bytes.length === 0) return bad;
	return withInstruction(bytes, address, codeSize, (instruction) => {
		if (instruction.isInvalid) return bad;
		const flow = flowOf(instruction);
		return {
			length: instruction.length,
			valid: true,
			target: targetOf(instruction),
			flow,
			repeated: instruction.isStringInstruction && (instruction.hasRepPrefix || instruction.hasRepnePrefix),
		};
	});
}

/** The first instruction of the bytes as text in Intel syntax; "(bad)" when they are none. */
export function formatInstruction(bytes: Uint8Array, address: bigint, codeSize: CodeSize): string {
	if (bytes.length === 0) return "(bad)";
	return withInstruction(bytes, address, codeSize, (instruction) =>
		instruction.isInvalid ? "(bad)" : theFormatter().format(instruction),
	);
}

/** "89 f9" */
export function formatBytes(bytes: Uint8Array): string {
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
