# pgweir_embed(TARGET FILE NAME): compiles a text into the target, as the std::string_view
# pgweir::embedded::NAME. As a script (cmake -DFILE=… -DOUTPUT=… -DNAME=… -P): writes that source.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${FILE} bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
  file(WRITE ${OUTPUT} "#include <string_view>
namespace pgweir::embedded {
static constexpr unsigned char bytes[] = {
${bytes}};
extern const std::string_view ${NAME};
const std::string_view ${NAME}(reinterpret_cast<const char*>(bytes), sizeof bytes);
}
")
  return()
endif()

function(pgweir_embed target file name)
  set(script ${CMAKE_SOURCE_DIR}/cmake/Embed.cmake)
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
  add_custom_command(OUTPUT ${output} DEPENDS ${source} ${script} VERBATIM
    COMMAND ${CMAKE_COMMAND} -DFILE=${source} -DOUTPUT=${output} -DNAME=${name} -P ${script})
  target_sources(${target} PRIVATE ${output})
endfunction()
