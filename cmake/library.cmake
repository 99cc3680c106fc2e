# The library as others use it: one libgomai.a, or with -DGOMAI_SHARED=ON one libgomai.so, from the objects of all layers and
# passes. One library rather than one a layer, since the layers' order and the cycle between lib/pass and passes (the registry
# names every pass, so that none is dropped) are then nobody else's concern.

get_property(layers GLOBAL PROPERTY GOMAI_LAYERS)
get_property(links GLOBAL PROPERTY GOMAI_LAYERS_LINK)
list(FILTER links EXCLUDE REGEX "^gomai_")
list(REMOVE_DUPLICATES links)

if(GOMAI_SHARED)
  add_library(gomai SHARED)
else()
  add_library(gomai STATIC)
endif()
add_library(gomai::gomai ALIAS gomai)
foreach(layer IN LISTS layers)
  target_sources(gomai PRIVATE $<TARGET_OBJECTS:${layer}>)
endforeach()
# Before 1.0 a minor version may change the interface.
set_target_properties(gomai PROPERTIES LINKER_LANGUAGE CXX
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
target_compile_features(gomai PUBLIC cxx_std_20)
target_include_directories(gomai PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)

if(NOT GOMAI_SHARED)
  target_link_libraries(gomai PUBLIC ${links})
  return()
endif()

# Two copies of ONNX's classes in one process would both register with protobuf, which ends the process. So libgomai.so holds
# the whole of a static ONNX, and its users take ONNX's headers and definitions only; its functions they find in libgomai.so.
get_target_property(onnx_type ONNX::onnx TYPE)
if(onnx_type STREQUAL "STATIC_LIBRARY")
  list(REMOVE_ITEM links ONNX::onnx)
  target_link_libraries(gomai PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,ONNX::onnx>)
  target_include_directories(gomai SYSTEM INTERFACE $<TARGET_PROPERTY:ONNX::onnx,INTERFACE_INCLUDE_DIRECTORIES>)
  target_compile_definitions(gomai INTERFACE $<TARGET_PROPERTY:ONNX::onnx,INTERFACE_COMPILE_DEFINITIONS>)
else()
  target_link_libraries(gomai INTERFACE ONNX::onnx)
endif()
# The public headers call Abseil, fmt and protobuf inline; the others are the library's own business.
target_link_libraries(gomai PRIVATE ${links} INTERFACE absl::status absl::statusor fmt::fmt protobuf::libprotobuf)
