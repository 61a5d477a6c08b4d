# Fills an empty Redmine with what `real_redmine::seed` promises. Times are
# fixed, so that a test can name them; only the API keys differ from one
# template to the next, and they go to the file named by the first argument.

require "json"
require "stringio"

Redmine::DefaultData::Loader.load("en")
{
  rest_api_enabled: "1", login_required: "1", default_language: "en",
  notified_events: [], gravatar_enabled: "0", host_name: "localhost"
}.each { |name, value| Setting[name] = value }

PASSWORD = "correct horse battery"
START = Time.utc(2026, 1, 5, 8, 0, 0)

admin = User.find_by_login("admin")
admin.update!(password: PASSWORD, password_confirmation: PASSWORD, must_change_passwd: false)
User.current = admin

people = [%w[alice Alice Archer], %w[bob Bob Brown], %w[carla Carla Cruz]].map do |login, first, last|
  user = User.new(firstname: first, lastname: last, mail: "#{login}@example.com", language: "en",
                  password: PASSWORD, password_confirmation: PASSWORD)
  user.login = login
  user.save!
  user
end
alice, bob, carla = people
carla.lock!
group = Group.create!(lastname: "Support team")
group.users << [alice, bob]

trackers = Tracker.sorted.to_a
support, website = [["Support", "support"], ["Website", "website"]].map do |name, identifier|
  Project.create!(name: name, identifier: identifier, is_public: false, trackers: trackers,
                  description: "Everything about #{name.downcase}",
                  enabled_module_names: %w[issue_tracking])
end
shop = Project.create!(name: "Shop", identifier: "shop", is_public: false, trackers: trackers,
                       enabled_module_names: %w[issue_tracking])
shop.set_parent!(website)

developer = Role.find_by_name("Developer")
[[support, alice], [support, bob], [website, bob], [website, admin], [shop, bob]].each do |project, user|
  Member.create!(project: project, principal: user, roles: [developer])
end

severity = IssueCustomField.create!(name: "Severity", field_format: "string", is_for_all: true, trackers: trackers)
billing = IssueCategory.create!(project: support, name: "Billing", assigned_to: alice)
IssueCategory.create!(project: support, name: "Login")
layout = IssueCategory.create!(project: website, name: "Layout")

priorities = IssuePriority.sorted.to_a
open_status = IssueStatus.find_by_name("New")
closed_status = IssueStatus.find_by_name("Closed")

issues = (1..130).map do |number|
  project = [support, support, website, shop][number % 4]
  Issue.create!(
    project: project, tracker: trackers[number % 3], author: number.even? ? bob : admin,
    status: (number % 10).zero? ? closed_status : open_status,
    priority: priorities[number % 5],
    subject: "Issue number #{number}",
    description: number == 7 ? "" : "What happened in case #{number}: *bold*, \"quoted\", naïve façade, 日本語",
    assigned_to: project == support && number.odd? ? alice : nil,
    category: { support => billing, website => layout }[project],
    due_date: number % 6 == 0 ? Date.new(2026, 3, 1 + number % 28) : nil
  )
end
issues[4].reload.update!(parent_issue_id: issues[0].id) # number 5 is part of number 1, in the same project
issues[0].reload.update!(custom_field_values: { severity.id.to_s => "S2" })

issues.first(30).each_with_index do |issue, index|
  next unless (index % 3).zero?

  Journal.create!(journalized: issue, user: alice, notes: "First note on #{issue.id}")
  Journal.create!(journalized: issue, user: bob, notes: "Second note on #{issue.id}", private_notes: index == 3)
end
Attachment.create!(container: issues[0], author: bob, filename: "screen.txt", content_type: "text/plain",
                   description: "What was on the screen", file: "It does not work.\n".b)

# Issues 41 to 48 changed in one and the same second, as a bulk edit does.
issues.each do |issue|
  issue.reload
  created = START + issue.id * 3600
  updated = issue.id.between?(41, 48) ? START + 41 * 3600 : created
  issue.update_columns(created_on: created, updated_on: updated, closed_on: issue.closed? ? updated : nil)
  issue.journals.order(:id).each_with_index do |journal, index|
    journal.update_columns(created_on: created + (index + 1) * 60)
  end
end
[Project, Principal].each { |kind| kind.all.each { |row| row.update_columns(created_on: START, updated_on: START) } }
User.update_all(last_login_on: nil, passwd_changed_on: START)
Attachment.update_all(created_on: START + 3600)

File.write(ARGV.fetch(0), JSON.generate(admin_key: admin.api_key, member_key: alice.api_key))
