// What a toolstack writes into xenstore for a domain: who it is, and the two ends of its devices.
// References: Xen, docs/misc/xenstore-paths.pandoc; public headers io/blkif.h, io/xenbus.h.

import type { Permission } from "./store-tree.ts";
import type { XenStore } from "./xenstore.ts";

/** XenbusState. */
const INITIALISING = "1";
const CLOSED = "6";
/** xvda: 202 << 8 (docs/man/xen-vbd-interface.7); the next disk 16 on. */
const FIRST_DISK = 51712;
const DISK_STEP = 16;

interface NamedDomain {
	readonly id: number;
	readonly name: string;
	readonly maximumPages: number;
}

function own(owner: number, reader?: number): Permission[] {
	const first = { domain: owner, read: false, write: false };
	return reader === undefined ? [first] : [first, { domain: reader, read: true, write: false }];
}

export function describeDomain(store: XenStore, { id, name, maximumPages }: NamedDomain): void {
	const folder = `/local/domain/${id}`;
	// A domain may read and write below its own folder, and read who it is.
	store.provide(folder, "", own(id));
	for (const [key, value] of Object.entries({
		domid: id,
		name,
		"memory/target": maximumPages * 4,
		"cpu/0/availability": "online",
	}))
		store.provide(`${folder}/${key}`, `${value}`, own(0, id));
	for (const key of ["device", "control", "data"]) store.provide(`${folder}/${key}`, "", own(id));
}

/** Nodes of a disk that `back` serves to `front`: both ends in their first state. */
export function describeDisk(store: XenStore, front: number, back: number, index: number, image: string): void {
	const device = FIRST_DISK + index * DISK_STEP;
	const backFolder = `/local/domain/${back}/backend/vbd/${front}/${device}`;
	const frontFolder = `/local/domain/${front}/device/vbd/${device}`;
	const backNodes = {
		frontend: frontFolder,
		"frontend-id": front,
		online: 1,
		removable: 0,
		mode: "w",
		"device-type": "disk",
		params: image,
		dev: `xvd${String.fromCharCode(97 + index)}`,
		state: INITIALISING,
	};
	const frontNodes = {
		backend: backFolder,
		"backend-id": back,
		"virtual-device": device,
		"device-type": "disk",
		state: INITIALISING,
	};
	store.provide(`/local/domain/${back}/backend`, "", own(back));
	store.provide(backFolder, "", own(back, front));
	store.provide(frontFolder, "", own(front, back));
	for (const [key, value] of Object.entries(backNodes))
		store.provide(`${backFolder}/${key}`, `${value}`, own(back, front));
	for (const [key, value] of Object.entries(frontNodes))
		store.provide(`${frontFolder}/${key}`, `${value}`, own(front, back));
}

/** The domain is gone: each device that it served is closed, which its front ends see. */
export function closeBackends(store: XenStore, back: number): void {
	const folder = `/local/domain/${back}/backend/vbd`;
	for (const front of store.names(folder))
		for (const device of store.names(`${folder}/${front}`)) {
			const state = `${folder}/${front}/${device}/state`;
			if (store.text(state) !== CLOSED) store.provide(state, CLOSED, own(back, Number(front)));
		}
}
