// CLI, STI, PUSHF and POPF where nothing special is asked for: no virtual-8086 mode, enough privilege, no trap, no interrupt that is due
// afterwards. Everything else is the helpers' of cpu/flags-instructions.ts (SDM Vol. 2, "Operation" of each).

import type { Value } from "../emit/value.ts";
import { arithmeticFlags, setArithmeticFlags } from "../flags.ts";
import type { Operation } from "../operation.ts";
import { Cr0, Eflags } from "../register-bits.ts";
import type { InstructionTable } from "../row.ts";
import { State } from "../state.ts";
import { sizeOfSuffix } from "./stack.ts";

const IOPL_SHIFT = 12;
/** Longer than what the interpreter's loop should hold. */
const COLD = { cold: true } as const;

/** i32: IOPL does not suffice for IF, or the mode has rules of its own. */
function isSpecial(o: Operation, rest: Value): Value {
	const iopl = rest.shrU(IOPL_SHIFT).and(3);
	const isVirtual = rest.and(Eflags.VM);
	const isReal = o.state32(State.cr0).and(Cr0.PE).eqz();
	return isVirtual.or(isReal).or(o.state32(State.cpl).gtU(iopl)).ne(0);
}

function setRest(o: Operation, rest: Value): void {
	const kept = o.f.let(rest);
	o.setState32(State.flagsRest, kept);
	o.setState32(State.interruptsEnabled, kept.shrU(9).and(1).or(o.state32(State.interruptsUnmasked)));
}

/** i32: something waits for interrupts to be enabled. */
function isAwaited(o: Operation): Value {
	return o.state32(State.interruptRequest).or(o.state32(State.windows)).ne(0);
}

export function defineInterruptFlag(table: InstructionTable): void {
	table.define(/^Cli$/, (o) => {
		const rest = o.f.let(o.state32(State.flagsRest));
		o.f.if(
			isSpecial(o, rest),
			() => o.helper("cli"),
			() => setRest(o, rest.and(~Eflags.IF)),
		);
	});
	// The instruction behind an STI that sets IF is shielded from interrupts; the helper notes where that ends.
	table.define(/^Sti$/, (o) => {
		const rest = o.f.let(o.state32(State.flagsRest));
		const isSet = rest.and(Eflags.IF).ne(0);
		o.f.if(isSpecial(o, rest).or(isSet.eqz()).or(isAwaited(o)), () => o.helper("sti"));
	});
	table.define(
		/^Pushf[wdq]$/,
		(o, name) => {
			const size = sizeOfSuffix(name, "Pushf");
			const rest = o.f.let(o.state32(State.flagsRest));
			o.f.if(
				rest.and(Eflags.VM),
				() => o.helper("pushf", size),
				() => {
					const others = rest.and(~(Eflags.VM | Eflags.RF)).or(Eflags.fixed);
					const flags = o.f.let(arithmeticFlags(o).or(others));
					o.push(size, size === 8 ? flags.extendU() : flags);
				},
			);
		},
		COLD,
	);
	table.define(
		/^Popf[wdq]$/,
		(o, name) => {
			const size = sizeOfSuffix(name, "Popf");
			const before = o.f.let(o.state32(State.flagsRest));
			// RF is cleared; VM, VIF and VIP stay.
			const wide = size >= 4 ? Eflags.AC | Eflags.ID : 0;
			const mask = Eflags.IF | Eflags.IOPL | Eflags.TF | Eflags.DF | Eflags.NT | wide;
			o.f.if(
				isSpecial(o, before).or(o.state32(State.cpl)),
				() => o.helper("popf", size),
				() => {
					const popped = o.peekStack(size);
					const flags = o.f.let(size === 8 ? popped.wrap() : popped);
					const cleared = size >= 4 ? mask | Eflags.RF : mask;
					const rest = o.f.let(before.and(~cleared).or(flags.and(mask)));
					const changed = rest.xor(before).and(Eflags.AC);
					const enables = rest.and(before.not()).and(Eflags.IF).ne(0).and(isAwaited(o));
					o.f.if(
						rest.and(Eflags.TF).or(changed).or(enables),
						() => o.helper("popf", size),
						() => {
							o.releaseStack(size);
							setArithmeticFlags(o, flags);
							setRest(o, rest);
						},
					);
				},
			);
		},
		COLD,
	);
}
