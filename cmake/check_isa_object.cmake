# Fails the build if an instruction-set object defines a global symbol other than its kernel table. The linker would merge
# such a symbol with the portable one: either old CPUs would crash, or new ones would lose speed.
execute_process(COMMAND ${NM} --defined-only --extern-only ${OBJECT} OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" symbols "${listing}")
list(FILTER symbols EXCLUDE REGEX "${TABLE}E$")
list(FILTER symbols EXCLUDE REGEX " ___asan_globals_registered$") # defined by the AddressSanitizer of Clang
if(symbols)
  message(FATAL_ERROR "${OBJECT} must define only ${TABLE}, but also defines: ${symbols}")
endif()
