// fuzz_corpus CONVERSATIONS FOLDER writes what there is to begin with as FOLDER/TARGET/NAME.
#include <fstream>
#include <iostream>

#include "tests/fuzz/corpus.hpp"

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: fuzz_corpus CONVERSATIONS FOLDER\n";
        return 2;
    }
    for (const auto& seed : pgweir::fuzz::conversation_seeds(argv[1])) {
        const auto folder = std::filesystem::path(argv[2]) / seed.target;
        std::filesystem::create_directories(folder);
        std::ofstream(folder / seed.name, std::ios::binary) << seed.bytes;
    }
}
