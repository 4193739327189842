// The VMCSs of a host as a debugger shows them. Reads the bytes that the processor uses; what else it keeps is which regions are
// active and what they held before the last VM exit, which no instruction of the machine could tell.

import { LaunchState, type VmcsMemory } from "../cpu/vmx/vmcs.ts";
import { vmcsFields } from "../cpu/vmx/vmcs-fields.ts";
import type { EntryFailureReport, VmxObserver } from "../cpu/vmx/vmx-observer.ts";
import { VmxMode, VmxWord } from "../cpu/vmx/vmx-state.ts";
import type { VmxUnit } from "../cpu/vmx/vmx-unit.ts";
import type { HostMachine } from "./host-machine.ts";
import type { VmcsField, VmcsGroup, VmcsView, VmxView } from "./hypervisor-views.ts";
import { takeApart, unnamedBits } from "./vmcs/bit-layout.ts";
import { exitDetail, exitTitle } from "./vmcs/exit-words.ts";
import { type FieldDescription, fieldTitle, hasExited, vmcsGroups } from "./vmcs/field-catalogue.ts";
import { VmcsBytes } from "./vmcs/vmcs-bytes.ts";

/** Regions that are remembered; the oldest goes first. */
const MOST_REGIONS = 64;
/** Bit 31 of the revision: a shadow VMCS. */
const REVISION_MASK = 0x7fffffff;

const fieldOf = new Map(vmcsFields.map((field) => [field.name, field]));

function describeField(
	{ field, name, bits, meaning, expected = 0n }: FieldDescription,
	vmcs: VmcsBytes,
	before: VmcsBytes | undefined,
): VmcsField {
	const { encoding, width, offset } = fieldOf.get(field)!;
	const value = vmcs.read(field);
	const layout = bits?.(value, vmcs) ?? [];
	const reserved = layout.length === 0 ? undefined : unnamedBits(layout, value, expected);
	const said = [meaning?.(value, vmcs), reserved && `reserved bits set: ${reserved}`].filter(Boolean).join("; ");
	return {
		name,
		encoding,
		width: width === "natural" ? 64 : width,
		value,
		bits: takeApart(layout, value),
		...(said === "" ? {} : { meaning: said }),
		changed: before !== undefined && !vmcs.sameField(before, offset),
	};
}

/** What the view keeps beyond the bytes of the machine. */
export interface HostVmxViewState {
	readonly active: readonly bigint[];
	readonly before: readonly (readonly [bigint, VmcsBytes])[];
	readonly failures: readonly (readonly [bigint, EntryFailureReport])[];
}

/** The view of any host machine whose processor has VMX. */
export class HostVmxView implements VmxView, VmxObserver {
	/** Regions that were made active, in order. */
	private active: bigint[] = [];
	/** Each region as it was before its last exit was recorded. */
	private readonly before = new Map<bigint, VmcsBytes>();
	/** Of each region whose last entry failed a check. */
	private readonly failures = new Map<bigint, EntryFailureReport>();

	constructor(
		private readonly host: HostMachine,
		/** Of the host's processors, by number. */
		private readonly units: readonly VmxUnit[],
	) {
		for (const unit of units) unit.observers.unshift(this);
	}

	/** That of the processor that runs. */
	private get unit(): VmxUnit {
		return this.units[this.host.turns.current]!;
	}

	get enabled(): boolean {
		return this.unit.inOperation;
	}

	save(): HostVmxViewState {
		return {
			active: [...this.active],
			before: [...this.before].map(([address, bytes]) => [address, bytes.copy()]),
			failures: [...this.failures],
		};
	}

	restore({ active, before, failures }: HostVmxViewState): void {
		this.clear();
		this.active = [...active];
		for (const [address, bytes] of before) this.before.set(address, bytes.copy());
		for (const [address, report] of failures) this.failures.set(address, report);
	}

	leaving({ address }: VmcsMemory): void {
		const known = this.before.get(BigInt(address));
		if (known) {
			known.refill(this.host.physical, address);
			return;
		}
		const bytes = VmcsBytes.at(this.host.physical, BigInt(address));
		if (bytes) this.before.set(BigInt(address), bytes);
	}

	entered({ address }: VmcsMemory): void {
		this.failures.delete(BigInt(address));
	}

	entryFailed({ address }: VmcsMemory, report: EntryFailureReport): void {
		this.failures.set(BigInt(address), report);
	}

	/** The regions stay while another processor is in VMX operation. */
	operationChanged(): void {
		const { physical, turns } = this.host;
		const isIn = (number: number) => physical.i32[(turns.stateAt(number) + VmxWord.mode) >> 2] !== VmxMode.off;
		if (!this.units.some((_, number) => number !== turns.current && isIn(number))) this.clear();
	}

	private clear(): void {
		this.active = [];
		this.before.clear();
		this.failures.clear();
	}

	activated(pointer: bigint): void {
		this.active = [...this.active.filter((one) => one !== pointer), pointer];
		while (this.active.length > MOST_REGIONS) this.forget(this.active[0]!);
	}

	cleared(pointer: bigint): void {
		this.forget(pointer);
	}

	private forget(pointer: bigint): void {
		this.active = this.active.filter((one) => one !== pointer);
		this.before.delete(pointer);
		this.failures.delete(pointer);
	}

	private get current(): bigint | undefined {
		const { vmcs } = this.unit;
		return vmcs && BigInt(vmcs.address);
	}

	regions(): { readonly address: bigint; readonly current: boolean }[] {
		const { current } = this;
		const known = current === undefined || this.active.includes(current) ? this.active : [...this.active, current];
		return known.map((address) => ({ address, current: address === current }));
	}

	exitTarget(): bigint | undefined {
		const { current } = this;
		return current === undefined ? undefined : VmcsBytes.at(this.host.physical, current)?.read("hostRip");
	}

	read(asked?: bigint): VmcsView | undefined {
		const address = asked ?? this.current;
		if (!this.enabled || address === undefined || address === this.unit.vmxonPointer) return undefined;
		const vmcs = VmcsBytes.at(this.host.physical, address);
		if (!vmcs || (vmcs.revision & REVISION_MASK) !== this.unit.revision) return undefined;
		const before = this.before.get(address);
		const groups: VmcsGroup[] = vmcsGroups.map(({ name, fields }) => ({
			name,
			fields: fields.map((field) => describeField(field, vmcs, before)),
		}));
		const failure = this.failures.get(address);
		return {
			address,
			launchState: vmcs.launchState === LaunchState.launched ? "launched" : "clear",
			inGuest: this.unit.nonRoot && address === this.current,
			...(hasExited(vmcs) ? { lastExit: { reason: exitTitle(vmcs), detail: exitDetail(vmcs) } } : {}),
			...(failure ? { entryFailure: { field: fieldTitle(failure.field), rule: failure.rule } } : {}),
			groups,
		};
	}
}
