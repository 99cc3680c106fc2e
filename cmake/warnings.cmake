# Warnings are errors in Gomai's own code; dependencies' headers are system headers and are left in peace.
add_library(gomai_warnings INTERFACE)
target_compile_options(gomai_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wnon-virtual-dtor -Wextra-semi)
# The preset asan adds -Wno-maybe-uninitialized: under sanitizers g++ 12 sees uninitialised reads in <regex> itself.
if(GOMAI_WERROR)
  target_compile_options(gomai_warnings INTERFACE -Werror)
endif()
