// `--mmu ept`: guest-physical to host-physical addresses by extended page tables, filled from the pmap at first touch. The guest's own
// tables are its own: page faults, INVLPG and CR3 cause no exit (SDM Vol. 3C §29.3).

import { Secondary } from "../../cpu/vmx/controls.ts";
import { EptQualification, ExtendedPageTables } from "../../cpu/vmx/extended-page-tables.ts";
import type { VmcsMemory } from "../../cpu/vmx/vmcs.ts";
import { Vmcs } from "../../cpu/vmx/vmcs-fields.ts";
import { PageKind, type PhysicalMemory } from "../../engine/physical-memory.ts";
import { eptMappings } from "../../machine/ept-mappings.ts";
import { eptWalk } from "../../machine/nested-walk.ts";
import type { Mapping, Walk } from "../../machine/virtual-machine.ts";
import type { GuestPhysicalMemory } from "../guest/guest-physical-memory.ts";
import type { HostFrames } from "../host-frames.ts";
import { EptRights, ExtendedPageTableBuilder } from "./extended-page-table-builder.ts";
import type { GuestMmu, MmuOutcome } from "./guest-mmu.ts";

/** Without page faults of the VMM's own, the guest's process-context identifiers are the hardware's. */
const SECONDARY = Secondary.enableEpt | Secondary.unrestrictedGuest | Secondary.enableInvpcid;

export interface EptMmuState {
	readonly violations: number;
	readonly tables: number;
}

export class EptMmu implements GuestMmu {
	readonly kind = "ept";
	readonly ownedCr0 = 0;
	readonly ownedCr4 = 0;
	readonly interceptedExceptions = 0;
	readonly tables: ExtendedPageTableBuilder;
	private violations = 0;

	/** @param flush forgets cached translations: INVEPT. */
	constructor(
		private readonly host: PhysicalMemory,
		frames: HostFrames,
		private readonly memory: GuestPhysicalMemory,
		private readonly flush: () => void,
	) {
		this.tables = new ExtendedPageTableBuilder(host, frames);
	}

	get extendedPageTables(): ExtendedPageTables {
		return new ExtendedPageTables(this.host, this.tables.pointer);
	}

	configure(vmcs: VmcsMemory): void {
		vmcs.write32(Vmcs.secondaryControls, vmcs.read32(Vmcs.secondaryControls) | SECONDARY);
		vmcs.write(Vmcs.eptPointer, this.tables.pointer);
	}

	realize(): void {}

	virtualize(): void {}

	handleEptViolation(guestPhysical: number, qualification: bigint): MmuOutcome {
		this.violations++;
		const page = Math.floor(guestPhysical / 4096);
		const kind = this.memory.kindOf(page);
		const writes = (Number(qualification) & EptQualification.write) !== 0;
		if (kind === PageKind.ram) this.tables.map(page, this.memory.frameOf(page), EptRights.all);
		else if (kind === PageKind.rom && !writes)
			this.tables.map(page, this.memory.frameOf(page), EptRights.read | EptRights.execute);
		else return "emulate";
		return "resume";
	}

	handlePageFault(): MmuOutcome {
		throw new Error("Page faults are not intercepted under EPT.");
	}

	invalidatePage(): void {}

	monitorTrap(): void {}

	memoryWritten(): void {}

	pageChanged(page: number): void {
		if (this.tables.unmap(page)) this.flush();
	}

	walk(
		linear: bigint,
		guestPhysical: bigint | undefined,
		access: { write?: boolean; execute?: boolean },
	): Walk | undefined {
		if (guestPhysical === undefined) return undefined;
		return eptWalk(this.extendedPageTables, linear, guestPhysical, access);
	}

	mappings(from: bigint, limit: number): Mapping[] {
		return eptMappings(this.host, this.tables.pointer, from, limit);
	}

	/** Counts; the tables lie in host memory. */
	save(): EptMmuState {
		return { violations: this.violations, tables: this.tables.tables };
	}

	restore({ violations, tables }: EptMmuState): void {
		this.violations = violations;
		this.tables.tables = tables;
	}

	statistics() {
		return { eptViolations: this.violations, eptTables: this.tables.tables };
	}
}
