#ifndef BATON_CLINUX_H
#define BATON_CLINUX_H
#endif
