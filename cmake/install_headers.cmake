# Installs lib/**/*.h from GOMAI_HEADERS_FROM to GOMAI_HEADERS_TO below the prefix, except those that say in the comment that
# opens them that they are internal to their layer.
file(GLOB_RECURSE found RELATIVE ${GOMAI_HEADERS_FROM} ${GOMAI_HEADERS_FROM}/lib/*.h)
foreach(header IN LISTS found)
  file(READ ${GOMAI_HEADERS_FROM}/${header} opening LIMIT 1500)
  string(REGEX REPLACE "\n#include.*" "" opening "${opening}")
  string(REGEX REPLACE "\n//" "" opening "${opening}")  # a sentence may go on in the next line
  if(opening MATCHES "Internal to +lib/|Not for others")
    continue()
  endif()
  get_filename_component(folder ${header} DIRECTORY)
  file(INSTALL ${GOMAI_HEADERS_FROM}/${header} DESTINATION ${CMAKE_INSTALL_PREFIX}/${GOMAI_HEADERS_TO}/${folder})
endforeach()
