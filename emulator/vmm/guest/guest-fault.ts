// An exception that the VMM's own work on behalf of the guest found: it is raised in the vCPU.

/** Thrown, so not an Error: it is frequent and needs no stack trace. */
export class GuestFault {
	constructor(
		readonly vector: number,
		/** undefined for the vectors that push none. */
		readonly errorCode: number | undefined = undefined,
		/** Linear address of a page fault, for CR2. */
		readonly address = 0,
	) {}
}
