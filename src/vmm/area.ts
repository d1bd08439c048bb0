// Area: the machine's own pages, shared by all VMs of this process: GDT, TSS, IDT, exception entries, stub, PTE writer, the
// page tables of the supervisor half and the time page. Built for the kind of host at load, never stored in a template.
//
// Interface: `new Area(arena, kind)`, `map(hva)` puts it at the start of a VM's memory, `vvar` is the host's view of the
// time page. On PVM-style hosts VMs map it read-only; on hardware a page-table walk counts as a write, so each VM maps a
// private copy-on-write view (ring 3 reaches none of it but the time page either way).

import { MAP_FIXED, MAP_PRIVATE, MAP_SHARED, MFD_CLOEXEC, PROT_READ, PROT_WRITE } from '../abi/linux/host.ts';
import { PAGE_SIZE, PTE_A, PTE_D, PTE_NX, PTE_P, PTE_PS, PTE_W } from '../abi/x86/cpu.ts';
import { TYPE_CODE, TYPE_DATA, segmentDescriptor, tssDescriptor, writeGate, Tss } from '../abi/x86/descriptors.ts';
import type { Arena } from '../host/arena.ts';
import { ftruncate, memfdCreate, mmap } from '../host/libc.ts';
import * as L from './layout.ts';
import { ANSWERS, CWD_ANSWER, PATH_ANSWERS, SIGNAL_ANSWER } from './answercode.ts';
import { writeUserTable } from './paging.ts';
import { PTE_WRITER, SYSCALL_STUB, TOUCHER, code, handlerPage } from './stub.ts';

/** Which sort of KVM this is: emulated ring 0 and `syscall` staying at CPL 3, or VT-x / AMD-V. */
export type HostKind = 'pvm' | 'hardware';

/** I/O bitmap of the TSS: ports 0..PORT, one bit each, a set bit forbids. */
const IOMAP_BYTES = (L.PORT >> 3) + 1;
export const TSS_LIMIT = Tss.size + IOMAP_BYTES + 1 - 1;

const SUPERVISOR_RO = BigInt(PTE_P | PTE_A | PTE_D) | PTE_NX;
const SUPERVISOR_RW = SUPERVISOR_RO | BigInt(PTE_W);
const SUPERVISOR_RX = BigInt(PTE_P | PTE_A | PTE_D);
/** An entry that points to a supervisor table. */
const TABLE = BigInt(PTE_P | PTE_W | PTE_A);

/** Offset of the system-call stub and of the PTE writer in the code page. */
export const CODE_STUB = 0x000;
export const CODE_WRITER = 0x100;

export class Area {
  readonly kind: HostKind;
  readonly #fd: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(arena: Arena, kind: HostKind) {
    this.kind = kind;
    this.#fd = memfdCreate('offshoot-area', MFD_CLOEXEC);
    ftruncate(this.#fd, L.AREA_BYTES);
    const region = arena.take(L.AREA_BYTES);
    mmap(region.hva, L.AREA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, this.#fd, 0);
    this.#bytes = new Uint8Array(region.buffer, region.byteOffset, L.AREA_BYTES);
    this.#view = new DataView(region.buffer, region.byteOffset, L.AREA_BYTES);
    this.#descriptors();
    this.#code();
    this.#tables();
  }

  /** The host's writable view of the time page. */
  get vvar(): DataView {
    return new DataView(this.#view.buffer, this.#view.byteOffset + L.VVAR_GPA, L.USER_STUB_OFFSET);
  }

  /** The stub's page and the page of paths, for what the stub may answer itself (answers.ts). */
  get stubPage(): DataView {
    return new DataView(this.#view.buffer, this.#view.byteOffset + L.VVAR_GPA, PAGE_SIZE);
  }

  get pathsPage(): DataView {
    return new DataView(this.#view.buffer, this.#view.byteOffset + L.PATHS_GPA, PAGE_SIZE);
  }

  get slots(): DataView {
    return new DataView(this.#view.buffer, this.#view.byteOffset + L.SLOTS_GPA, L.SLOTS_BYTES);
  }

  /** Maps the area at `hva`, over what is there. */
  map(hva: number): void {
    if (this.kind === 'pvm') mmap(hva, L.AREA_BYTES, PROT_READ, MAP_SHARED | MAP_FIXED, this.#fd, 0);
    else mmap(hva, L.AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, this.#fd, 0);
  }

  #descriptors(): void {
    const view = this.#view;
    const gdt = (selector: number, value: bigint): void => view.setBigUint64(L.GDT_GPA + (selector & ~7), value, true);
    gdt(L.SEL_KERNEL_CS, segmentDescriptor({ type: TYPE_CODE, s: 1, dpl: 0, l: 1 }));
    gdt(L.SEL_KERNEL_SS, segmentDescriptor({ type: TYPE_DATA, s: 1, dpl: 0, l: 0 }));
    gdt(L.SEL_USER_SS, segmentDescriptor({ type: TYPE_DATA, s: 1, dpl: 3, l: 0 }));
    gdt(L.SEL_USER_CS, segmentDescriptor({ type: TYPE_CODE, s: 1, dpl: 3, l: 1 }));
    const [low, high] = tssDescriptor(L.SUPER_BASE + BigInt(L.GDT_LOW + L.TSS_OFFSET), TSS_LIMIT);
    gdt(L.SEL_TSS, low);
    gdt(L.SEL_TSS + 8, high);

    const tss = L.GDT_GPA + L.TSS_OFFSET;
    view.setBigUint64(tss + Tss.offset.rsp0, L.SUPER_BASE + BigInt(L.STACK_LOW + PAGE_SIZE), true);
    // Ring 3 runs the stub on PVM-style hosts, so its port is open there; every other port is closed.
    view.setUint16(tss + Tss.offset.iomap_base, Tss.size, true);
    this.#bytes.fill(0xff, tss + Tss.size, tss + TSS_LIMIT + 1);
    if (this.kind === 'pvm') this.#bytes[tss + Tss.size + (L.PORT >> 3)] &= ~(1 << (L.PORT & 7));

    for (let vector = 0; vector < L.VECTOR_COUNT; vector++) {
      const handler = L.SUPER_BASE + BigInt(L.HANDLER_LOW + vector * L.HANDLER_STRIDE);
      const dpl = vector === 3 || vector === 4 ? 3 : 0; // int3 and into; any other `int n` is #GP
      writeGate(view, L.IDT_GPA + vector * 16, handler, L.SEL_KERNEL_CS, dpl);
    }
  }

  #code(): void {
    const stub = code(SYSCALL_STUB);
    this.#bytes.fill(0xcc, L.HANDLER_GPA, L.CODE_GPA + PAGE_SIZE); // int3 wherever nothing else is
    this.#bytes.fill(0xcc, L.VVAR_GPA + L.USER_STUB_OFFSET, L.VVAR_GPA + PAGE_SIZE);
    this.#bytes.set(handlerPage(), L.HANDLER_GPA);
    this.#bytes.set(stub, L.CODE_GPA + CODE_STUB);
    this.#bytes.set(code(PTE_WRITER), L.CODE_GPA + CODE_WRITER);
    if (this.kind !== 'pvm') return;
    this.#bytes.set(stub, L.VVAR_GPA + L.USER_STUB_OFFSET);
    this.#bytes.set(code(ANSWERS), L.VVAR_GPA + L.ANSWERS_OFFSET);
    this.#bytes.fill(0xcc, L.PATHS_GPA, L.PATHS_GPA + L.SIGNAL_TABLE_OFFSET);
    this.#bytes.set(code(PATH_ANSWERS), L.PATHS_GPA);
    this.#bytes.set(code(CWD_ANSWER), L.PATHS_GPA + L.CWD_OFFSET);
    this.#bytes.set(code(SIGNAL_ANSWER), L.PATHS_GPA + L.SIGNALS_OFFSET);
    this.#bytes.set(code(TOUCHER), L.VVAR_GPA + L.TOUCHER_OFFSET);
  }

  #tables(): void {
    const entry = (table: number, index: number, value: bigint): void => this.#view.setBigUint64(table + index * 8, value, true);
    for (let gigabyte = 0; gigabyte < L.DIRECT_MAX_BYTES / 2 ** 30; gigabyte++) {
      const directory = L.DIRECT_PD_GPA + gigabyte * PAGE_SIZE;
      entry(L.SUPER_PDPT_GPA, gigabyte, BigInt(directory) | TABLE);
      for (let i = 0; i < 512; i++) {
        entry(directory, i, BigInt(gigabyte * 2 ** 30 + i * 2 ** 21) | SUPERVISOR_RW | BigInt(PTE_PS));
      }
    }
    entry(L.SUPER_PDPT_GPA, 4, BigInt(L.SUPER_PD_GPA) | TABLE);
    entry(L.SUPER_PD_GPA, 0, BigInt(L.SUPER_PT_GPA) | TABLE);
    const page = (low: number, gpa: number, bits: bigint): void => entry(L.SUPER_PT_GPA, low / PAGE_SIZE, BigInt(gpa) | bits);
    page(L.GDT_LOW, L.GDT_GPA, SUPERVISOR_RO);
    page(L.IDT_LOW, L.IDT_GPA, SUPERVISOR_RO);
    page(L.HANDLER_LOW, L.HANDLER_GPA, SUPERVISOR_RX);
    page(L.CODE_LOW, L.CODE_GPA, SUPERVISOR_RX);
    page(L.STACK_LOW, L.STACK_GPA, SUPERVISOR_RW);
    page(L.QUEUE_LOW, L.QUEUE_GPA, SUPERVISOR_RO);
    writeUserTable(new Uint32Array(this.#view.buffer, this.#view.byteOffset, L.AREA_BYTES / 4), this.kind === 'hardware');
  }
}
