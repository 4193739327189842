// Checks a launch configuration before a session starts, so that a wrong word gets one clear sentence.
import { parseMemorySize } from "../../debug-adapter/launch/memory-size.ts";
import type { LaunchArguments } from "../../debug-adapter/protocol.ts";

const choices = {
	vmm: ["none", "trap", "bt", "pv", "hvm"],
	mmu: ["shadow", "ept"],
	io: ["direct", "split", "passthrough"],
	engine: ["interpreter", "compiled"],
	serial: ["both", "output", "terminal"],
} as const;

const texts = ["program", "initrd", "append", "firmware", "domain0", "domain0Append", "cdrom"] as const;

/** One sentence that says what is wrong and what to do; undefined when nothing is. */
export function checkConfiguration(configuration: Readonly<Record<string, unknown>>): string | undefined {
	const launch = configuration as LaunchArguments & Record<string, unknown>;
	for (const name of texts)
		if (launch[name] !== undefined && typeof launch[name] !== "string")
			return `"${name}" in the launch configuration must be a text.`;
	for (const [name, allowed] of Object.entries(choices)) {
		const value = launch[name];
		if (value !== undefined && !(allowed as readonly unknown[]).includes(value))
			return `"${name}" in the launch configuration is ${JSON.stringify(value)}; it must be one of ${allowed.join(", ")}.`;
	}
	const disks = launch.disks;
	if (disks !== undefined && !(Array.isArray(disks) && disks.every((disk) => typeof disk === "string")))
		return '"disks" in the launch configuration must be a list of paths.';
	if (!launch.program && !launch.firmware)
		return disks && disks.length > 0
			? 'Nothing starts the disks of the launch configuration: set "firmware" to a ROM such as SeaBIOS, or "program" to a kernel image.'
			: 'The launch configuration names nothing to start: set "program" to a kernel image, or "firmware" to a ROM such as SeaBIOS.';
	if (launch.io === "split" && launch.vmm !== "pv")
		return '"io": "split" needs "vmm": "pv", as front and back ends talk through the hypervisor; leave "io" out otherwise.';
	if (launch.io !== "split" && (launch.domain0 || launch.domain0Append))
		return 'There is a Domain 0 with "io": "split" only: set that, or leave "domain0" and "domain0Append" out.';
	if (launch.io === "split" && disks?.length !== 1)
		return '"io": "split" needs one disk for Domain 0 to serve: name its image in "disks".';
	if (launch.mmu === "ept" && launch.vmm !== "hvm")
		return '"mmu": "ept" needs "vmm": "hvm", as extended page tables are a part of VT-x; use "shadow" with the other techniques.';
	return checkProcessors(launch) ?? checkMemory(launch.memory);
}

function checkProcessors({ processors, vmm }: LaunchArguments): string | undefined {
	if (processors === undefined) return undefined;
	if (!Number.isInteger(processors) || processors < 1 || processors > 8)
		return `"processors" in the launch configuration is ${JSON.stringify(processors)}; it must be a whole number from 1 to 8.`;
	if (processors > 1 && vmm !== "none")
		return 'Several processors need "vmm": "none": set that, or leave "processors" out.';
	return undefined;
}

function checkMemory(memory: unknown): string | undefined {
	if (memory === undefined) return undefined;
	try {
		parseMemorySize(memory as number | string);
		return undefined;
	} catch (error) {
		return (error as Error).message;
	}
}
