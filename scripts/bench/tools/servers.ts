import type { ChatTool } from '#lib/events/chat-request'

/** Fourteen tools as one MCP server offers them, and requests with the tool each calls for. */
interface Server {
  tools: ChatTool[]
  requests: readonly (readonly [request: string, right: string])[]
}

/** `path, text?, count:integer`: a string where no type is given, required where there is no question mark. */
function tool(name: string, description: string, parameters = ''): ChatTool {
  const properties: Record<string, { type: string }> = {}
  const required: string[] = []
  for (const parameter of parameters.split(', ').filter(Boolean)) {
    const [key = '', type = 'string'] = parameter.split(':')
    properties[key.replace('?', '')] = { type }
    if (!key.endsWith('?')) required.push(key)
  }
  return { type: 'function', function: { name, description, parameters: { type: 'object', properties, required } } }
}

/** Written for this bench after the tool lists of common servers. Calendar was not looked at before the measure was done. */
export const servers: Readonly<Record<string, Server>> = {
  filesystem: {
    tools: [
      tool('read_file', 'Read the complete contents of a file from the file system as text.', 'path, head?:integer'),
      tool('read_media_file', 'Read an image or audio file and return it as base64 data with its MIME type.', 'path'),
      tool('read_multiple_files', 'Read the contents of several files at the same time.', 'paths:array'),
      tool(
        'write_file',
        'Create a new file or completely overwrite an existing file with new content.',
        'path, content',
      ),
      tool('edit_file', 'Make line-based edits to a text file and return a diff of the changes.', 'path, edits:array'),
      tool('create_directory', 'Create a new directory or make sure that a directory exists.', 'path'),
      tool('list_directory', 'Get a detailed listing of all files and directories in a path.', 'path'),
      tool(
        'list_directory_with_sizes',
        'Get a listing of files and directories in a path, including sizes.',
        'path, sortBy?',
      ),
      tool('directory_tree', 'Get a recursive tree view of files and directories as JSON.', 'path'),
      tool('move_file', 'Move or rename files and directories.', 'source, destination'),
      tool('search_files', 'Recursively search for files and directories that match a pattern.', 'path, pattern'),
      tool(
        'get_file_info',
        'Retrieve metadata about a file: size, creation and modification time, permissions.',
        'path',
      ),
      tool('delete_file', 'Delete a file for good. Cannot be undone.', 'path'),
      tool('list_allowed_directories', 'List the directories that this server is allowed to access.'),
    ],
    requests: [
      ['Show me the contents of /etc/hosts', 'read_file'],
      ['Rename draft.md to final.md', 'move_file'],
      ['Create a folder called reports under /srv/data', 'create_directory'],
      ['Find all files that end in .log below /var', 'search_files'],
      ['When was /srv/q3.xlsx last modified, and what are its permissions?', 'get_file_info'],
      ['Save "hello world" into /tmp/hello.txt', 'write_file'],
      ['Get rid of /tmp/old.bak', 'delete_file'],
      ['What is in the folder /home/ada?', 'list_directory'],
      ['Load a.txt, b.txt and c.txt at once', 'read_multiple_files'],
      ['Which directories may you access?', 'list_allowed_directories'],
      ['Give me the whole tree of /srv as JSON', 'directory_tree'],
      ['Replace "foo" by "bar" in line 12 of main.py', 'edit_file'],
    ],
  },
  github: {
    tools: [
      tool('create_issue', 'Create a new issue in a GitHub repository.', 'owner, repo, title, body?'),
      tool('list_issues', 'List issues in a GitHub repository with filters.', 'owner, repo, state?, labels?:array'),
      tool('get_issue', 'Get details of a specific issue in a GitHub repository.', 'owner, repo, issue_number:integer'),
      tool(
        'update_issue',
        'Update an existing issue in a GitHub repository.',
        'owner, repo, issue_number:integer, state?, title?',
      ),
      tool('add_issue_comment', 'Add a comment to an existing issue.', 'owner, repo, issue_number:integer, body'),
      tool('search_issues', 'Search for issues and pull requests across GitHub repositories.', 'q'),
      tool(
        'create_pull_request',
        'Create a new pull request in a GitHub repository.',
        'owner, repo, title, head, base',
      ),
      tool('merge_pull_request', 'Merge a pull request.', 'owner, repo, pull_number:integer, merge_method?'),
      tool(
        'get_pull_request_files',
        'Get the list of files changed in a pull request.',
        'owner, repo, pull_number:integer',
      ),
      tool('create_branch', 'Create a new branch in a GitHub repository.', 'owner, repo, branch, from_branch?'),
      tool('list_commits', 'Get the list of commits of a branch in a GitHub repository.', 'owner, repo, sha?'),
      tool(
        'get_file_contents',
        'Get the contents of a file or directory from a GitHub repository.',
        'owner, repo, path',
      ),
      tool(
        'fork_repository',
        'Fork a GitHub repository to your account or an organization.',
        'owner, repo, organization?',
      ),
      tool('search_repositories', 'Search for GitHub repositories.', 'query'),
    ],
    requests: [
      ['Open an issue in acme/shop titled "Cart is empty after login"', 'create_issue'],
      ['Which issues are open in acme/shop with the label bug?', 'list_issues'],
      ['Comment on issue 42 of acme/shop: fixed in 1.3', 'add_issue_comment'],
      ['Close issue 17 in acme/shop', 'update_issue'],
      ['Merge PR 88 of acme/shop by squash', 'merge_pull_request'],
      ['Which files does pull request 90 in acme/shop change?', 'get_pull_request_files'],
      ['Make a branch release-2 from main in acme/shop', 'create_branch'],
      ['Show the last commits on main of acme/shop', 'list_commits'],
      ['Read the README.md file of acme/shop', 'get_file_contents'],
      ['Fork torvalds/linux into my account', 'fork_repository'],
      ['Find repositories about vector search in Rust', 'search_repositories'],
      ['Open a pull request from fix-cart into main of acme/shop', 'create_pull_request'],
    ],
  },
  slack: {
    tools: [
      tool('slack_list_channels', 'List public channels in the workspace with pagination.', 'limit?:integer, cursor?'),
      tool('slack_post_message', 'Post a new message to a Slack channel.', 'channel_id, text'),
      tool('slack_reply_to_thread', 'Reply to a specific message thread in Slack.', 'channel_id, thread_ts, text'),
      tool('slack_add_reaction', 'Add a reaction emoji to a message.', 'channel_id, timestamp, reaction'),
      tool('slack_get_channel_history', 'Get recent messages from a channel.', 'channel_id, limit?:integer'),
      tool('slack_get_thread_replies', 'Get all replies in a message thread.', 'channel_id, thread_ts'),
      tool('slack_get_users', 'Get a list of all users in the workspace with their basic profile.', 'cursor?'),
      tool('slack_get_user_profile', 'Get detailed profile information for a specific user.', 'user_id'),
      tool('slack_send_direct_message', 'Send a private message to one user.', 'user_id, text'),
      tool(
        'slack_schedule_message',
        'Schedule a message to be posted to a channel later.',
        'channel_id, text, post_at:integer',
      ),
      tool('slack_upload_file', 'Upload a file and share it in a channel.', 'channel_id, filename, content'),
      tool('slack_set_topic', 'Set the topic of a channel.', 'channel_id, topic'),
      tool('slack_search_messages', 'Search for messages that match a query.', 'query, sort?'),
      tool('slack_archive_channel', 'Archive a channel that is no longer in use.', 'channel_id'),
    ],
    requests: [
      ['Post "Deploy is done" to channel C024BE91L', 'slack_post_message'],
      ['Which channels do we have?', 'slack_list_channels'],
      ['React with thumbsup to message 1712.0001 in C024BE91L', 'slack_add_reaction'],
      ['What was said recently in the channel C024BE91L?', 'slack_get_channel_history'],
      ['Show the profile of user U0G9QF9C6', 'slack_get_user_profile'],
      ['Search all messages for "invoice overdue"', 'slack_search_messages'],
      ['Set the topic of C024BE91L to "Release week"', 'slack_set_topic'],
      ['Send U0G9QF9C6 a private note: lunch at noon?', 'slack_send_direct_message'],
      ['Upload report.csv to C024BE91L', 'slack_upload_file'],
      ['Archive the old channel C0OLD1234', 'slack_archive_channel'],
      ['Answer in the thread 1712.0001 of C024BE91L: agreed', 'slack_reply_to_thread'],
      ['Schedule a reminder message for 9 am tomorrow in C024BE91L', 'slack_schedule_message'],
    ],
  },
  calendar: {
    tools: [
      tool('list_events', 'List the events of a calendar between two times.', 'calendarId, timeMin, timeMax'),
      tool('get_event', 'Get the details of one event.', 'calendarId, eventId'),
      tool(
        'create_event',
        'Create a calendar event with a start and an end.',
        'calendarId, summary, start, end, attendees?:array',
      ),
      tool(
        'update_event',
        'Change the time, title or place of an event.',
        'calendarId, eventId, summary?, start?, end?',
      ),
      tool('delete_event', 'Delete an event from a calendar.', 'calendarId, eventId'),
      tool('search_events', 'Search for events by a text.', 'calendarId, query'),
      tool('respond_to_event', 'Accept or decline an invitation.', 'calendarId, eventId, response'),
      tool('list_calendars', 'List all calendars of the user.'),
      tool('create_calendar', 'Create a secondary calendar.', 'summary'),
      tool('get_freebusy', 'Get when people are free or busy.', 'timeMin, timeMax, emails:array'),
      tool(
        'find_meeting_slot',
        'Propose times at which all attendees can meet.',
        'attendees:array, durationMinutes:integer',
      ),
      tool('add_reminder', 'Add a reminder to an event.', 'calendarId, eventId, minutes:integer'),
      tool('share_calendar', 'Share a calendar with another person.', 'calendarId, email, role'),
      tool('list_colors', 'List the colors that events may have.'),
    ],
    requests: [
      ['Put "Dentist" into my calendar on 3 March from 9:00 to 9:30', 'create_event'],
      ['Cancel the event evt_812 in my primary calendar', 'delete_event'],
      ['What events do I have on Friday between 8 and 18?', 'list_events'],
      ['Decline the invitation evt_77', 'respond_to_event'],
      ['Is bob@acme.com free or busy tomorrow from 10 to 12?', 'get_freebusy'],
      ['Which calendars do I have?', 'list_calendars'],
      ['Move evt_812 to 14:00', 'update_event'],
      ['Remind me 15 minutes before evt_99', 'add_reminder'],
      ['Share my work calendar with ann@acme.com', 'share_calendar'],
      ['When can Ann, Bob and Cy meet for 45 minutes?', 'find_meeting_slot'],
      ['Search my calendar for "budget review"', 'search_events'],
      ['Make a new calendar called Holidays', 'create_calendar'],
    ],
  },
}
