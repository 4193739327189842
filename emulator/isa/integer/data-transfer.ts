// MOV, MOVZX, MOVSX, XCHG, LEA, CMOVcc, SETcc, XLAT, CBW and kin, MOVNTI (SDM Vol. 2).

import { Value, ValueType } from "../emit/value.ts";
import { condition, conditionNumber, signExtend } from "../flags.ts";
import { Gpr, type Operation, wordType } from "../operation.ts";
import type { InstructionTable } from "../row.ts";

/** MOV between AL/AX/EAX/RAX and an address in the instruction itself. */
function moveOffset(o: Operation, store: boolean): void {
	const size = o.size(0);
	const mask = Value.i64(-1).shrU(o.addressShift().extendU());
	const place = o.placeAt(store ? "write" : "read", size, o.segment(), o.immediate64().and(mask));
	if (store) {
		o.f.store(size, place.address, o.gpr(Gpr.rax, size));
		place.commit();
	} else o.setGpr(Gpr.rax, size, o.f.load(wordType(size), size, place.address));
}

function moveWithExtension(o: Operation, signed: boolean): void {
	const source = o.size(1);
	const value = o.read(1);
	const wide = o.f.let(signed ? signExtend(value, source) : value.toI64U());
	o.write(0, o.size(0) === 8 ? wide : wide.wrap());
}

function exchange(o: Operation): void {
	if (!o.memoryForm) {
		const a = o.f.let(o.read(0));
		const b = o.f.let(o.read(1));
		o.write(0, b);
		o.write(1, a);
		return;
	}
	const before = o.f.variable(wordType(o.size(0)));
	o.modify(0, (old) => {
		o.f.set(before, old);
		return o.read(1);
	});
	o.write(1, before.get);
}

export function defineDataTransfer(table: InstructionTable): void {
	table.define(/^Mov_(rm|r)\d+_(rm|r|imm)\d+$/, (o) => o.write(0, o.readAs(1, o.size(0))));
	table.define(/^Mov_(AL|AX|EAX|RAX)_moffs/, (o) => moveOffset(o, false));
	table.define(/^Mov_moffs/, (o) => moveOffset(o, true));
	table.define(/^Movzx_/, (o) => moveWithExtension(o, false));
	table.define(/^(Movsx|Movsxd)_/, (o) => moveWithExtension(o, true));
	table.define(/^Xchg_/, exchange);
	table.define(/^Movnti_/, (o) => o.write(0, o.read(1)));
	table.define(/^Lea_/, (o) => {
		const address = o.effectiveAddress();
		o.write(0, o.size(0) === 8 ? address : address.wrap());
	});
	for (const [letters, code] of Object.entries(conditionNumber)) {
		table.define(new RegExp(`^Cmov${letters}_`), (o) => {
			// The source is read, and can fault, whatever the condition; a 32-bit destination is always written.
			const source = o.f.let(o.read(1));
			o.write(0, condition(o, code).select(source, o.f.let(o.read(0))));
		});
		table.define(new RegExp(`^Set${letters}_rm8$`), (o) => o.write(0, condition(o, code).eqz().eqz()));
	}
	table.define(/^Cbw$/, (o) => o.setGpr(Gpr.rax, 2, o.gpr(Gpr.rax, 1).extend8S()));
	table.define(/^Cwde$/, (o) => o.setGpr(Gpr.rax, 4, o.gpr(Gpr.rax, 2).extend16S()));
	table.define(/^Cdqe$/, (o) => o.setGpr(Gpr.rax, 8, o.gpr(Gpr.rax, 4).extendS()));
	table.define(/^Cwd$/, (o) => o.setGpr(Gpr.rdx, 2, o.gpr(Gpr.rax, 2).extend16S().shrS(15)));
	table.define(/^Cdq$/, (o) => o.setGpr(Gpr.rdx, 4, o.gpr(Gpr.rax, 4).shrS(31)));
	table.define(/^Cqo$/, (o) => o.setGpr(Gpr.rdx, 8, o.gpr(Gpr.rax, 8).shrS(63)));
	table.define(/^Xlat_m8$/, (o) => {
		const mask = Value.i64(-1).shrU(o.addressShift().extendU());
		const address = o.gpr(Gpr.rbx, 8).add(o.gpr(Gpr.rax, 1).extendU()).and(mask);
		const place = o.placeAt("read", 1, o.segment(), address);
		o.setGpr(Gpr.rax, 1, o.f.load(ValueType.i32, 1, place.address));
	});
}
