#include "pool/net/send_batch.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include "pool/net/log.hpp"
#include "pool/net/socket.hpp"

namespace pgweir::net {

bool SendBatch::usable() {
    if (std::exchange(asked_, true)) return room_ != nullptr;
    room_ = std::make_unique<Room>();
    if (room_->uring.open()) return true;
    log::print(log::Level::debug, {}, "io_uring is not to be had ({}): sends are made one by one",
               std::strerror(errno));
    room_.reset();
    return false;
}

char* SendBatch::add(Socket& socket, std::size_t size) {
    const bool behind = count_ > 0 && room_->sockets[count_ - 1] == &socket;
    const bool fits =
        used_ + size <= room_->bytes.size() && (behind || count_ < room_->sends.size());
    // Two sends of a socket in one batch could overtake each other where the first finds no room.
    if (!fits || size > size_max || (socket.batched_ && !behind)) {
        submit();
        if (size > size_max || socket.blocked() || socket.error()) return nullptr;
    }
    char* const place = room_->bytes.data() + used_;
    used_ += size;
    if (socket.batched_) {
        room_->sends[count_ - 1].size += size;
        return place;
    }
    socket.batched_ = true;
    room_->sockets[count_] = &socket;
    room_->sends[count_++] = {socket.fd(), place, size, 0};
    return place;
}

void SendBatch::submit() {
    const std::span sends(room_->sends.data(), std::exchange(count_, 0));
    used_ = 0;
    if (!sends.empty()) room_->uring.send(sends);
    for (std::size_t i = 0; i < sends.size(); ++i) room_->sockets[i]->sent(sends[i]);
}

}  // namespace pgweir::net
