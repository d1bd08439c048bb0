# The program that a template without Python is frozen in: says that it is ready and forks, which is the snapshot point. In a
# sandbox, exec replaces it; when it is asked to run Python instead, it says what is missing. park.ts has it assembled.
        .intel_syntax noprefix
        .globl _start
_start:
        mov     eax, 1                  # write(3, ready)
        mov     edi, 3
        lea     rsi, [rip + ready]
        mov     edx, offset ready_end - ready
        syscall
        mov     eax, 57                 # fork()
        syscall
        test    eax, eax
        jz      child
        mov     edi, 125
        jmp     exit
child:
        xor     eax, eax                # read(3): a request for Python
        mov     edi, 3
        lea     rsi, [rsp - 4096]
        mov     edx, 4096
        syscall
        mov     eax, 1                  # write(2, message)
        mov     edi, 2
        lea     rsi, [rip + message]
        mov     edx, offset message_end - message
        syscall
        mov     edi, 127
exit:
        mov     eax, 231                # exit_group(edi)
        syscall
        hlt
ready:  .ascii  "{\"ready\": 1}"
ready_end:
message:
        .ascii  "offshoot: this template has no Python: run its programs with exec\n"
message_end:
