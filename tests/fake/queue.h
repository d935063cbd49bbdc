/*
 * fake/queue.h - the accept half of the door without a queue behind it, for
 * tests of the receiving side.  Answers come from the loop, as the contract
 * wants; what was accepted is kept for the test to look at.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/queue.h"

struct fake_message {
	struct msgid	 id;
	char		*sender;
	char		*recipients;	/* "a@b c@d" */
	char		*listener, *client, *helo;
	char		*body;		/* terminated; read back from a body file */
	size_t		 size;
	bool		 body_8bit;
	bool		 body_file;
	bool		 crc_ok;
};

struct fake_queue {
	enum queue_result	 result;	/* of the accepts that follow */
	struct status		 status;	/* with QUEUE_REFUSED */
	bool			 hold;		/* answer only at fake_queue_release() */
	bool			 no_files;	/* queue_body_open() says status */
	bool			 hold_files;	/* it answers at fake_queue_release() */
	int			 bad_fd;	/* not 0: this is what it gives */
	size_t			 pressure;
	struct fake_message	 messages[64];	/* accepted with QUEUE_DONE */
	unsigned		 nmessages;
	unsigned		 cancelled, dropped, opened;
};
extern struct fake_queue fake_queue;

void fake_queue_reset(void);
void fake_queue_release(void);		/* answers what was held */
void fake_queue_relief(void);		/* pressure is over */
