// SHA-256 from Debian's libmd.
#ifndef BATON_CMESSAGEDIGEST_SHIM_H
#define BATON_CMESSAGEDIGEST_SHIM_H

#include <sys/types.h>
#include <sha256.h>

#endif
