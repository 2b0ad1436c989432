#include "proxy/pam.hpp"

#include <cstdlib>
#include <cstring>

#include <security/pam_appl.h>

#include "protocol/cleanse.hpp"

namespace pgweir::proxy {

namespace {

/// Answers what PAM asks. The answers are PAM's to free; we have nothing to say but the password.
int converse(int count, const pam_message** messages, pam_response** answers, void* password) {
    auto* const made =
        static_cast<pam_response*>(std::calloc(static_cast<std::size_t>(count), sizeof **answers));
    if (!made) return PAM_BUF_ERR;
    for (int i = 0; i < count; ++i) {
        const int style = messages[i]->msg_style;
        if (style == PAM_PROMPT_ECHO_OFF) {
            made[i].resp = strdup(static_cast<const char*>(password));
        } else if (style == PAM_PROMPT_ECHO_ON) {
            for (int j = 0; j < i; ++j) std::free(made[j].resp);
            std::free(made);
            return PAM_CONV_ERR;
        }
    }
    *answers = made;
    return PAM_SUCCESS;
}

/// One transaction. Resource.
struct Transaction {
    pam_handle_t* handle = nullptr;
    int status = PAM_SUCCESS;

    ~Transaction() {
        if (handle) pam_end(handle, status);
    }
    bool passes(int result) {
        status = result;
        return result == PAM_SUCCESS;
    }
    protocol::Error failure(const char* what) const {
        return {protocol::sqlstate::invalid_authorization, protocol::Origin::client,
                std::string(what) + " failed: " + pam_strerror(handle, status)};
    }
};

}  // namespace

protocol::Result<void> pam_check(const std::string& user, const std::string& password,
                                 const std::string& host) {
    protocol::Secret copy = password;  // PAM takes it as void*
    const pam_conv conversation{converse, copy.data()};
    Transaction pam;
    if (!pam.passes(pam_start("pgbouncer", user.c_str(), &conversation, &pam.handle)))
        return pam.failure("pam_start()");
    if (!pam.passes(pam_set_item(pam.handle, PAM_RHOST, host.c_str())))
        return pam.failure("pam_set_item()");
    if (!pam.passes(pam_authenticate(pam.handle, PAM_SILENT)))
        return pam.failure("pam_authenticate()");
    if (!pam.passes(pam_acct_mgmt(pam.handle, PAM_SILENT))) return pam.failure("pam_acct_mgmt()");
    return {};
}

}  // namespace pgweir::proxy
