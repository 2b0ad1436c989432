# The Debian package: what is installed where, and what CPack is told. `./dev package` makes it.
#
# All rules belong to one component that a plain `cmake --install` leaves out: paths are those of Debian.

set(package_dir ${PROJECT_SOURCE_DIR}/deploy/debian)

# Manual pages and changelog are compressed as Debian's policy wants it: without a name or a date inside.
function(pgweir_compressed source target)
  add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/package/${target} DEPENDS ${source}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/package
    COMMAND gzip -9nc ${source} > ${CMAKE_BINARY_DIR}/package/${target} VERBATIM)
  set_property(GLOBAL APPEND PROPERTY PGWEIR_PACKAGE_FILES ${CMAKE_BINARY_DIR}/package/${target})
endfunction()

pgweir_compressed(${PROJECT_SOURCE_DIR}/docs/man/pgweir.1 pgweir.1.gz)
pgweir_compressed(${PROJECT_SOURCE_DIR}/docs/man/pgweir.toml.5 pgweir.toml.5.gz)
pgweir_compressed(${package_dir}/changelog changelog.gz)
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/package/sbom.cdx.json DEPENDS pgweir ${PROJECT_SOURCE_DIR}/deploy/sbom.py
  COMMAND ${PROJECT_SOURCE_DIR}/deploy/sbom.py $<TARGET_FILE:pgweir> > ${CMAKE_BINARY_DIR}/package/sbom.cdx.json VERBATIM)
set_property(GLOBAL APPEND PROPERTY PGWEIR_PACKAGE_FILES ${CMAKE_BINARY_DIR}/package/sbom.cdx.json)
get_property(package_files GLOBAL PROPERTY PGWEIR_PACKAGE_FILES)
add_custom_target(package_files DEPENDS ${package_files})

function(pgweir_install destination)
  install(FILES ${ARGN} DESTINATION ${destination} COMPONENT debian EXCLUDE_FROM_ALL)
endfunction()

install(TARGETS pgweir RUNTIME DESTINATION usr/bin COMPONENT debian EXCLUDE_FROM_ALL)
pgweir_install(etc/pgweir ${package_dir}/pgweir.toml ${package_dir}/userlist.txt)
pgweir_install(lib/systemd/system ${package_dir}/pgweir.service ${package_dir}/pgweir.socket)
pgweir_install(usr/share/man/man1 ${CMAKE_BINARY_DIR}/package/pgweir.1.gz)
pgweir_install(usr/share/man/man5 ${CMAKE_BINARY_DIR}/package/pgweir.toml.5.gz)
pgweir_install(usr/share/doc/pgweir ${CMAKE_BINARY_DIR}/package/changelog.gz ${package_dir}/README.Debian
  ${package_dir}/copyright ${CMAKE_BINARY_DIR}/package/sbom.cdx.json)
# As they lie here, for the links between them; alerts and `man` name these pages.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs DESTINATION usr/share/doc/pgweir COMPONENT debian EXCLUDE_FROM_ALL
  PATTERN man EXCLUDE)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/deploy/prometheus ${PROJECT_SOURCE_DIR}/deploy/grafana
  DESTINATION usr/share/doc/pgweir/deploy COMPONENT debian EXCLUDE_FROM_ALL)
pgweir_install(usr/share/doc/pgweir ${PROJECT_SOURCE_DIR}/SECURITY.md)
install(FILES ${package_dir}/logrotate DESTINATION etc/logrotate.d RENAME pgweir
  COMPONENT debian EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME pgweir)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "connection pooler and read/write splitting proxy for PostgreSQL")
set(CPACK_PACKAGE_DESCRIPTION
"pgweir stands between applications and PostgreSQL. It reads a pgbouncer.ini,
has the same console, signals and log lines as PgBouncer, and pools by
session, transaction or statement, on one core or several.

In front of a cluster it is one endpoint: it finds the primary, keeps requests
waiting while there is none, and sends to replicas what is sure to be a read
and what they are fresh enough for.")
set(CPACK_PACKAGING_INSTALL_PREFIX /)
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};pgweir;debian;/")
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "pgweir developers <maintainers@pgweir.invalid>")
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS logrotate)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS postgresql-client)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${package_dir}/conffiles ${package_dir}/postinst ${package_dir}/prerm
  ${package_dir}/postrm)
include(CPack)
