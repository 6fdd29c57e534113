# Fails the build if an instruction-set object defines any global symbol beside its kernel table: the linker would merge
# such a symbol with the portable one, and then either an old CPU crashes or a new one loses its speed.
execute_process(COMMAND ${NM} --defined-only --extern-only ${OBJECT} OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" symbols "${listing}")
list(FILTER symbols EXCLUDE REGEX "${TABLE}E$")
list(FILTER symbols EXCLUDE REGEX " ___asan_globals_registered$") # a flag of Clang's address sanitizer
if(symbols)
  message(FATAL_ERROR "${OBJECT} may define ${TABLE} alone, but defines: ${symbols}")
endif()
