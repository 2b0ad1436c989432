#include "protocol/cleanse.hpp"

#include <array>
#include <cstdlib>
#include <new>

#include <malloc.h>
#include <openssl/crypto.h>

namespace pgweir::protocol {

namespace {

thread_local int cleansings = 0;  // there are at present

[[gnu::noinline]] void cleanse_stack() {
    std::array<char, 192 * 1024> below;  // more than reading a configuration takes
    OPENSSL_cleanse(below.data(), below.size());
}

}  // namespace

void cleanse(std::string& text) {
    text.resize(text.capacity());
    OPENSSL_cleanse(text.data(), text.size());
    text.clear();
}

Cleansing::Cleansing() { ++cleansings; }

Cleansing::~Cleansing() {
    if (--cleansings == 0) cleanse_stack();
}

}  // namespace pgweir::protocol

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PGWEIR_OTHERS_DELETE
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PGWEIR_OTHERS_DELETE
#endif

#ifndef PGWEIR_OTHERS_DELETE
// libstdc++'s operator new is malloc(), and its other forms of delete come here.

void operator delete(void* memory) noexcept {
    if (pgweir::protocol::cleansings > 0 && memory)
        OPENSSL_cleanse(memory, malloc_usable_size(memory));
    std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }
#endif
