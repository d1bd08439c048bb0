# The flags of /proc/cpuinfo are those of the processor programs run on: what the machine beside has, here too.
wanted = {"fpu", "tsc", "cmov", "mmx", "sse", "sse2", "pni", "cx16", "lm", "syscall", "nx"}
with open("/proc/cpuinfo") as file:
    flags = next(line for line in file if line.startswith("flags")).split(":")[1].split()
print(sorted(wanted & set(flags)), len(flags) == len(set(flags)))
